//! A scripted MCP server of either revision, and an agent that has its tools.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use letterhead::outbound::{EgressAllow, GuardOptions, GuardedClient};
use letterhead::{HeaderSchema, McpServer, Runner, RunnerBuilder};
use letterhead_testkit::{Answer as HttpAnswer, Recorded, ScriptedApi};
use serde_json::{Value, json};

use crate::script::{Answer, Script};
use crate::support::agent;

/// A secret that nobody may see but the server.
pub(crate) const TOKEN: &str = "t_secret-canary";

/// How a server speaks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Era {
    Standalone,
    /// 2025-11-25 with a session.
    Session,
    /// 2025-06-18 without one.
    Stateless,
}

/// A server with the tools `add` and `orders.find`.
pub(crate) struct Mcp {
    pub(crate) api: ScriptedApi,
    state: Arc<Mutex<State>>,
}

struct State {
    era: Era,
    /// Answers in a stream of events.
    sse: bool,
    tools: Value,
    /// More members of the result of `tools/list`.
    listed: Value,
    /// What is done with the next calls, instead of adding.
    calls: VecDeque<HttpAnswer>,
    sessions: usize,
    /// The session that is known, if it is not forgotten.
    session: Option<String>,
}

pub(crate) fn tools() -> Value {
    json!([
        {
            "name": "add", "description": "Adds two numbers.", "annotations": { "readOnlyHint": true },
            "inputSchema": { "type": "object", "properties": { "a": { "type": "number" }, "b": { "type": "number" } } },
        },
        { "name": "orders.find", "description": "Finds orders.", "inputSchema": { "properties": {} } },
    ])
}

impl Mcp {
    pub(crate) async fn start(era: Era, sse: bool) -> Self {
        let api = ScriptedApi::start().await;
        let state =
            State { era, sse, tools: tools(), listed: json!({}), calls: VecDeque::new(), sessions: 0, session: None };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        api.always(move |request| shared.lock().unwrap().answer(request));
        Self { api, state }
    }

    /// Has other tools from now on.
    pub(crate) fn set_tools(&self, tools: Value) {
        self.state.lock().unwrap().tools = tools;
    }

    /// Says more of its list of tools.
    pub(crate) fn set_listed(&self, more: Value) {
        self.state.lock().unwrap().listed = more;
    }

    /// Answers the next call of a tool so.
    pub(crate) fn then(&self, answer: HttpAnswer) {
        self.state.lock().unwrap().calls.push_back(answer);
    }

    pub(crate) fn forget_session(&self) {
        self.state.lock().unwrap().session = None;
    }

    pub(crate) fn server(&self) -> McpServer {
        McpServer::new("crm", self.api.url("/mcp")).with_header("Authorization", "Bearer {{ headers.token }}")
    }

    /// The methods that were asked for, in order.
    pub(crate) fn methods(&self) -> Vec<String> {
        let method = |request: Recorded| request.json()["method"].as_str().unwrap_or("?").to_owned();
        self.api.requests().into_iter().map(method).collect()
    }

    /// How often a method was asked for.
    pub(crate) fn count(&self, method: &str) -> usize {
        self.methods().iter().filter(|known| *known == method).count()
    }

    /// The requests for a method.
    pub(crate) fn asked(&self, method: &str) -> Vec<Recorded> {
        self.api.requests().into_iter().filter(|request| request.json()["method"] == method).collect()
    }
}

impl State {
    fn answer(&mut self, request: &Recorded) -> HttpAnswer {
        let message = request.json();
        let (id, method) = (message["id"].clone(), message["method"].as_str().unwrap_or_default().to_owned());
        let error = |status, code: i64| {
            HttpAnswer::error(
                status,
                &json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": "no" } }),
            )
        };
        let text = |name: &str| request.header(name).concat();
        match (self.era, method.as_str()) {
            (Era::Standalone, _) if !id.is_null() => {
                let meta = &message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"];
                let name = message["params"]["name"].as_str().unwrap_or_default();
                let agrees = *meta == "2026-07-28" && text("mcp-protocol-version") == "2026-07-28";
                if !agrees || text("mcp-method") != method || text("mcp-name") != name {
                    return error(400, -32020);
                }
            }
            (_, "server/discover") => return error(400, -32601),
            (_, "initialize") => {
                assert_eq!(text("mcp-protocol-version"), "", "`initialize` agrees on the version");
                let version = if self.era == Era::Session { "2025-11-25" } else { "2025-06-18" };
                let result = json!({ "protocolVersion": version, "capabilities": {}, "serverInfo": {} });
                let answer = self.of(&id, &result);
                if self.era == Era::Stateless {
                    return answer;
                }
                self.sessions += 1;
                let session = format!("s_{}", self.sessions);
                self.session = Some(session.clone());
                return answer.header("mcp-session-id", &session);
            }
            (Era::Session, _) if Some(text("mcp-session-id")) != self.session => return error(404, -32001),
            (Era::Session, _) => assert_eq!(text("mcp-protocol-version"), "2025-11-25"),
            (_, _) => {}
        }
        match method.as_str() {
            "server/discover" => {
                self.of(&id, &json!({ "resultType": "complete", "supportedVersions": ["2026-07-28"] }))
            }
            "tools/list" => {
                let mut result = json!({ "resultType": "complete", "tools": self.tools });
                let more = self.listed.as_object().unwrap().clone();
                result.as_object_mut().unwrap().extend(more);
                self.of(&id, &result)
            }
            "tools/call" => {
                if let Some(answer) = self.calls.pop_front() {
                    return answer;
                }
                let arguments = &message["params"]["arguments"];
                let sum = arguments["a"].as_f64().unwrap_or_default() + arguments["b"].as_f64().unwrap_or_default();
                self.of(&id, &content(&format!("{sum}")))
            }
            _ if id.is_null() => HttpAnswer::text("").with_status(202),
            _ => error(404, -32601),
        }
    }

    fn of(&self, id: &Value, result: &Value) -> HttpAnswer {
        let message = json!({ "jsonrpc": "2.0", "id": id, "result": result });
        if !self.sse {
            return HttpAnswer::json(&message);
        }
        let noise = json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": {} });
        let ping = json!({ "jsonrpc": "2.0", "id": "ping-1", "method": "ping" });
        HttpAnswer::sse([String::new(), noise.to_string(), ping.to_string(), message.to_string()])
    }
}

/// The result of a tool that says this.
pub(crate) fn content(text: &str) -> Value {
    json!({ "resultType": "complete", "content": [{ "type": "text", "text": text }] })
}

/// A model that makes these calls, one after the other, and then says `done`; as often as it is asked anew.
pub(crate) fn calling(calls: &[(&str, Value)], times: usize) -> Script {
    let mut script = Script::default();
    for _ in 0..times {
        let answers = calls.iter().map(|(name, arguments)| Answer::calls([(*name, arguments.clone())]));
        script = script.on("a", answers.chain([Answer::text("done")]));
    }
    script
}

/// An agent that has the server's tools, and a client that may call 127.0.0.1.
pub(crate) fn desk(script: &Script, server: McpServer) -> RunnerBuilder {
    let schema = HeaderSchema::compile(&json!({ "properties": {
        "request": { "type": "string" }, "token": { "type": "string", "writeOnly": true },
    } }));
    let allow = EgressAllow::parse(&["127.0.0.1"]).unwrap();
    let client = GuardedClient::new(GuardOptions { allow, ..GuardOptions::default() }).unwrap();
    Runner::with_agents([agent("a").with_tool_named("crm")])
        .provider(script.provider())
        .headers(schema.unwrap())
        .guarded_client(client)
        .mcp_server(server)
}

/// The result of the only call of a run that goes on to its end.
pub(crate) async fn told(mcp: &Mcp, server: McpServer, tool: &str, arguments: Value) -> String {
    let script = calling(&[(tool, arguments)], 1);
    let runner = desk(&script, server).build().unwrap();
    let result = runner.run("Hello").context_header("token", TOKEN).await.unwrap();
    assert_eq!(result.output, "done", "the run goes on, whatever comes of the call");
    let said = crate::support::said(&result.messages);
    let text = said[2].strip_prefix("tool: ").unwrap();
    assert!(!text.contains(TOKEN) && !text.contains(&mcp.api.host()), "{text}");
    text.to_owned()
}
