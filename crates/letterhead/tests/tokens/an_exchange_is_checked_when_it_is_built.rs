//! What is wrong with an exchange is told when agents are built, with its place.

use letterhead::{ClientAuthentication, HttpTool, McpServer, Registry, TokenExchange, Variable};

use crate::support::agent;

fn exchange() -> TokenExchange {
    TokenExchange::new("https://id.example.com/token").with_audience("orders")
}

fn faults(tool: HttpTool) -> Vec<String> {
    let agent = agent("a").with_model("demo").with_tool_named("t");
    let registry = Registry::builder().credentials(vec!["client".to_owned()]).http_tool(tool).agent(agent);
    registry.build().err().into_iter().flat_map(|error| error.0).map(|fault| fault.to_string()).collect()
}

fn tool(exchange: TokenExchange) -> HttpTool {
    HttpTool::new("t", "https://orders.example.com/").with_token_exchange(exchange)
}

#[test]
fn every_part_of_it_is() {
    let secret = |secret: &str| exchange().with_client("c", secret, ClientAuthentication::Basic);
    for (exchange, expected) in [
        (TokenExchange::new("https://id.example.com/token"), "does not say for whom the token is to be"),
        (TokenExchange::new("id.example.com").with_audience("a"), "endpoint`: not a URL"),
        (TokenExchange::new("https://me:pw@id.example.com").with_audience("a"), "must hold no user name or password"),
        (TokenExchange::new("ftp://id.example.com").with_audience("a"), "must begin with `http://`"),
        (exchange().with_audience("{{ headers.x }}"), "audience`: this is no template"),
        (exchange().with_audience(" "), "audience`: there is nothing in it"),
        (exchange().with_scope("a\nb"), "scope`: it has a line break"),
        (exchange().with_resource("orders"), "resource`: a resource is an absolute URI"),
        (exchange().with_resource("https://orders.example.com/#a"), "resource`: a resource is an absolute URI"),
        (exchange().with_timeout(std::time::Duration::ZERO), "an exchange needs more time than none"),
        (exchange().with_public_client(""), "client_id`: there is nothing in it"),
        (secret("{{ credentials.clent }}"), "client_secret`"),
        (secret("{{ caller.user_id }}"), "is the operator's own, and nothing of a request"),
        (secret("{{ args.id }}"), "client_secret`"),
        (secret("{{"), "client_secret`"),
    ] {
        let found = faults(tool(exchange));
        assert!(found.len() == 1 && found[0].contains(expected), "{expected}: {found:?}");
        assert!(found[0].starts_with("tool `t`, the token exchange"), "{found:?}");
    }
    assert!(faults(tool(secret("{{ credentials.client }}"))).is_empty());
    assert!(faults(tool(secret("written down"))).is_empty());
}

#[test]
fn a_call_has_one_authorization() {
    let found = faults(tool(exchange()).with_header("authorization", "Bearer x"));
    assert!(found.len() == 1 && found[0].contains("has a header `authorization` already"), "{found:?}");
    assert!(faults(tool(exchange()).with_header("X-Api-Key", "k")).is_empty(), "a gateway's key may go along");
}

#[test]
fn so_are_those_of_variables_and_servers() {
    let bad = || TokenExchange::new("https://id.example.com/token");
    let variable = Variable::new("v", "https://api.example.com").with_token_exchange(bad());
    let server = McpServer::new("s", "https://crm.example.com/mcp").with_token_exchange(exchange()).shared();
    let agent = agent("a").with_model("demo").with_instructions("{{ v }}").with_tool_named("s");
    let found = Registry::builder().variable(variable).mcp_server(server).agent(agent).build().unwrap_err();
    let found: Vec<_> = found.0.iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.iter().any(|fault| fault.contains("`v`") && fault.contains("for whom")), "{found:?}");
    assert!(found.iter().any(|fault| fault.contains("`s`") && fault.contains("remove `shared`")), "{found:?}");
}

#[test]
fn debug_shows_no_secret() {
    let exchange = exchange().with_client("canary", "canary", ClientAuthentication::Post);
    let shown = format!("{exchange:?} {:?}", tool(exchange.clone()));
    assert!(!shown.contains("canary"), "{shown}");
}
