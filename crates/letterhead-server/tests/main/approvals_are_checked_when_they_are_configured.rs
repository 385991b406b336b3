//! `approve:` is a switch of safety: what is not plainly said is a fault, and what cannot work is a warning.

use letterhead_server::assembly;

const YAML: &str = r#"
store: memory
model: demo
tools:
  refund: { url: "https://api.example.com/refunds", method: POST, approve: @TOOL@ }
mcp_servers:
  crm: { url: "https://crm.example.com/mcp", tools: { customers.delete: delete, find: find }, approve: @SERVER@ }
agents:
  assistant: { instructions: Help., tools: [refund, crm], delegates: @DELEGATES@ }
  clerk:     { description: Pays., instructions: Pay., tools: [@CLERK@] }
entry: assistant
"#;

fn yaml(tool: &str, server: &str) -> String {
    YAML.replace("@TOOL@", tool).replace("@SERVER@", server).replace("@DELEGATES@", "[]").replace("@CLERK@", "")
}

/// The faults of a configuration, or its warnings.
fn said(yaml: &str) -> (bool, String) {
    match assembly::check_text("letterhead.yaml", yaml, &|name| (name == "YES").then(|| "true".to_owned())) {
        Ok(checked) => (true, checked.loaded.warnings.to_string()),
        Err(report) => (false, report.to_string()),
    }
}

#[test]
fn what_is_plain_is_taken() {
    for (tool, server) in [
        ("true", "true"),
        ("false", "false"),
        ("true", "[customers.delete, find]"),
        ("'${YES}'", "'${YES}'"),
        ("true", "[]"),
    ] {
        let (taken, report) = said(&yaml(tool, server));
        assert!(taken, "{tool} {server}: {report}");
    }
}

#[test]
fn what_is_not_is_a_fault_and_never_means_no() {
    for (tool, server, expected) in [
        ("yes", "true", "tools.refund.approve"),
        ("\"true\"", "true", "tools.refund.approve"),
        ("1", "true", "tools.refund.approve"),
        ("[refund]", "true", "tools.refund.approve"),
        ("always", "true", "tools.refund.approve"),
        ("true", "yes", "mcp_servers.crm.approve"),
        ("true", "customers.delete", "mcp_servers.crm.approve"),
        ("true", "{ customers.delete: true }", "mcp_servers.crm.approve"),
        ("true", "[7]", "mcp_servers.crm.approve"),
        // By the server's names: not ours, and none that agents do not have.
        ("true", "[delete]", "agents have no tool `delete` of this server"),
        ("true", "[customers.delete, customer.delete]", "did you mean `customers.delete`?"),
        ("true", "[find, find]", "find"),
    ] {
        let (taken, report) = said(&yaml(tool, server));
        assert!(!taken && report.contains(expected), "{tool} {server}: {report}");
    }
}

#[test]
fn a_delegate_that_would_have_to_ask_is_warned_of() {
    let with = |delegates: &str, clerk: &str| {
        YAML.replace("@TOOL@", "true")
            .replace("@SERVER@", "[find]")
            .replace("@DELEGATES@", delegates)
            .replace("@CLERK@", clerk)
    };
    for tool in ["refund", "crm"] {
        let (taken, report) = said(&with("[clerk]", tool));
        let expected = format!("calls of `{tool}` need approval, and `clerk` cannot get it when another agent asks it");
        assert!(taken && report.contains(&expected), "{report}");
    }
    for (delegates, clerk) in [("[]", "refund"), ("[clerk]", "")] {
        let (taken, report) = said(&with(delegates, clerk));
        assert!(taken && !report.contains("need approval"), "{report}");
    }
}
