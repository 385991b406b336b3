//! Where in the file a fault of the parts is.

use letterhead::{RegistryFault, RegistryPlace};
use letterhead_context::{RuntimeNameFault, SchemaFault};

use crate::config::{Config, Faults, Pointer, Position};

pub(super) fn of_schema(found: &[SchemaFault], faults: &Faults<'_>) {
    for fault in found {
        let pointer = Pointer::from(format!("/headers{}", fault.pointer).as_str());
        faults.add(faults.document().error(pointer, &fault.message));
    }
}

pub(super) fn of_runtime_names(found: &[RuntimeNameFault], config: &Config, faults: &Faults<'_>) {
    for fault in found {
        let Some(row) = config.runtime_headers.get(fault.index) else { continue };
        faults.add(faults.document().error(&row.pointer, &fault.message));
    }
}

pub(super) fn of_registry(found: &[RegistryFault], faults: &Faults<'_>) {
    for fault in found {
        let pointer = pointer(&fault.place);
        let span = match fault.position {
            Some((line, column)) => faults.document().locate_position(&pointer, Position { line, column }),
            None => faults.document().locate(&pointer),
        };
        faults.add(crate::config::Diagnostic::error(span, &fault.message));
    }
}

fn pointer(place: &RegistryPlace) -> Pointer {
    let agent = |name: &str| Pointer::root().key("agents").key(name);
    let provider = |name: &str| Pointer::root().key("providers").key(name);
    match place {
        RegistryPlace::Agent(name) => agent(name),
        RegistryPlace::Instructions(name) => agent(name).key("instructions"),
        RegistryPlace::AgentHeader(name, header) => agent(name).key("headers").key(header),
        RegistryPlace::Requires(name, at) => agent(name).key("requires").index(*at),
        RegistryPlace::Handoff(name, at) => agent(name).key("handoffs").index(*at),
        RegistryPlace::Delegate(name, at) => agent(name).key("delegates").index(*at),
        RegistryPlace::AgentModel(name) => agent(name).key("model"),
        RegistryPlace::DefaultModel => Pointer::root().key("model"),
        RegistryPlace::ApiKey(name) => provider(name).key("api_key"),
        RegistryPlace::ProviderHeader(name, header) => provider(name).key("headers").key(header),
        _ => Pointer::root(),
    }
}
