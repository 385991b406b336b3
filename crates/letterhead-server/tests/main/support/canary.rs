//! A server whose fetchers and tools have secrets in every place, and a search for them in all that can be seen.

use std::path::PathBuf;
use std::sync::Arc;

use letterhead_server::assembly;
use letterhead_store::{Clock, SystemClock};
use letterhead_testkit::{Answer, Recorded, Reply, ScriptedApi, ScriptedLlm};
use serde_json::{Value, json};

use super::a2a::{message_in, rpc};
use super::{Answered, House, PATIENCE, Program, Send, said, said_streaming};

pub(crate) const KEY: &str = "c0ffee0123456789c0ffee0123456789c0ffee0123456789c0ffee0123456789";
pub(crate) const NEWER: &str = "decade0123456789decade0123456789decade0123456789decade0123456789";

/// Where a fetcher can name a secret: each header of a request, each place of an address and of a body. `whole_…` keep an
/// answer that repeats all of it; the others keep a part that does not.
const YAML: &str = r#"
store: "@STORE@"
env: [API_SECRET]
credentials:
  crm:     { env: CRM_TOKEN }
  billing: { file: "@FOLDER@/billing-token" }
  llm:     { file: "@FOLDER@/llm-key" }
providers: { openai: { kind: openai, base_url: "@LLM@", api_key: "{{ credentials.llm }}", retries: 0 } }
model: openai:gpt-test
egress: { allow: ["@HOST@"] }
headers:
  required: [user_id]
  properties:
    user_id:    { type: string }
    auth_token: { type: string, writeOnly: true }
    pin:        { type: integer, writeOnly: true }
context:
  in_header: { url: "@API@/in_header", select: person, headers: { Authorization: "Bearer {{ headers.auth_token }}" } }
  in_path:   { url: "@API@/in_path/{{ headers.auth_token }}", select: person }
  in_query:  { url: "@API@/in_query?pin={{ headers.pin }}", query: { t: "{{ headers.auth_token }}" }, select: person }
  in_body:   { url: "@API@/in_body", body: { a: [{ t: "{{ headers.auth_token }}", p: "{{ headers.pin }}" }] }, select: person }
  in_form:   { url: "@API@/in_form", form: { t: "{{ headers.auth_token }}" }, select: person }
  of_ours:
    url: "@API@/of_ours"
    headers: { X-Crm: "{{ credentials.crm }}", X-Billing: "{{ credentials.billing }}", X-Env: "{{ env.API_SECRET }}" }
    select: person
  whole_kept: { url: "@API@/whole_kept", headers: { X-T: "{{ headers.auth_token }} {{ headers.pin }}" } }
  whole_ours: { url: "@API@/whole_ours", headers: { X-T: "{{ credentials.crm }} {{ credentials.billing }} {{ env.API_SECRET }}" } }
  whole_turn: { when: turn, url: "@API@/whole_turn", headers: { X-T: "{{ headers.auth_token }}" } }
  written:    { url: "@API@/written", headers: { X-T: "Mine ${CRM_TOKEN}" }, body: { t: "${CRM_TOKEN}" }, select: person }
  fails:      { when: turn, url: "@API@/fails/{{ headers.auth_token }}", method: POST, headers: { X-T: "{{ headers.auth_token }}" }, select: person.name,
                response_schema: { type: object, properties: { person: { type: object, properties: { age: { type: integer, maximum: 150 } } } } } }
tools:
  order:
    description: Looks an order up.
    parameters: { type: object, required: [id], properties: { id: { type: string } } }
    url: "@API@/order/{{ args.id }}/{{ headers.auth_token }}"
    headers: { X-T: "{{ headers.auth_token }}", X-Crm: "{{ credentials.crm }}" }
    body: { id: "{{ args.id }}", pin: "{{ headers.pin }}" }
    select: order.state
  order_as_seen:
    description: Looks an order up, and tells all.
    parameters: { type: object, required: [id], properties: { id: { type: string } } }
    url: "@API@/order/{{ args.id }}/{{ headers.auth_token }}"
    headers: { X-T: "{{ headers.auth_token }}", X-Crm: "{{ credentials.crm }}", X-Written: "${API_SECRET}" }
    body: { id: "{{ args.id }}", pin: "{{ headers.pin }}", t: "${API_SECRET}" }
    select: $['order', 'log']
external_agents:
  legal:
    url: "@API@/legal"
    description: Reads contracts.
    headers: { Authorization: "Bearer {{ headers.auth_token }}", X-T: "{{ credentials.crm }} {{ headers.pin }} {{ env.API_SECRET }}" }
agents:
  assistant:
    instructions: |
      You help {{ in_header.name }} {{ in_path.name }} {{ in_query.name }} {{ in_body.name }} {{ in_form.name }}
      {{ of_ours.name }} {{ whole_kept.person.name }} {{ whole_ours.person.name }} {{ whole_turn.person.name }}.
  failing: { instructions: "You help {{ fails }}." }
  using:   { instructions: Look it up., tools: [order] }
  asking:  { instructions: Ask., delegates: [legal] }
  echoing:
    instructions: |
      You were told {{ in_header.seen }} {{ in_path.seen }} {{ in_query.seen }} {{ in_body.seen }} {{ in_form.seen }}
      {{ of_ours }} {{ whole_kept.log }} {{ whole_ours.person.seen }} {{ written }} {{ whole_turn.person.seen }}.
    tools: [order_as_seen]
entry: assistant
"#;

/// What nobody may see again, by where it is written down.
pub(crate) const CRM: (&str, &str) = ("CRM_TOKEN", "crm-c4n4ry");
pub(crate) const ENV: (&str, &str) = ("API_SECRET", "env-c4n4ry");
pub(crate) const BILLING: &str = "billing-c4n4ry";
const LLM_KEY: &str = "sk-c4n4ry";
pub(crate) const SECRETS: [(&str, &str); 3] = [("user_id", "u_1"), ("auth_token", "tok-c4n4ry"), ("pin", "904140915")];

/// The canary in plain text, in each of the three phases of base64, in hexadecimal; the number; the keys as text and bytes.
pub(crate) fn is_shown(text: &[u8]) -> Option<String> {
    let keys = [KEY, NEWER].into_iter().flat_map(|key| [key.as_bytes().to_vec(), bytes_of(key)]);
    let plain = ["c4n4ry", "YzRuNHJ5", "M0bjRye", "jNG40cn", "63346e347279", "904140915"];
    let mut needles = plain.into_iter().map(|text| text.as_bytes().to_vec()).chain(keys);
    let found = needles.find(|needle| text.windows(needle.len()).any(|window| window == needle.as_slice()))?;
    Some(String::from_utf8_lossy(&found).into_owned())
}

fn bytes_of(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

#[track_caller]
pub(crate) fn is_clean(what: &str, text: impl AsRef<[u8]>) {
    let Some(needle) = is_shown(text.as_ref()) else { return };
    let text = String::from_utf8_lossy(text.as_ref()).into_owned();
    let line = text.lines().find(|line| is_shown(line.as_bytes()).is_some()).unwrap_or(&text);
    panic!("{needle} in {what}: {line}");
}

/// Whatever the request had, in every member that a careless API may put it into; and something secret of its own.
fn echo(request: &Recorded) -> Answer {
    let all = format!("{} {:?} {}", request.path, request.headers, request.text());
    let body = json!({
        "person": { "name": "Ada", "seen": all }, "order": { "state": "on its way", "seen": all },
        "log": [{ "seen": all, (all.as_str()): 904_140_915 }], "own": "own-c4n4ry",
    });
    Answer::json(&body).header("x-seen", &request.header("x-t").concat()).header("set-cookie", "c4n4ry=c4n4ry")
}

/// A careless agent: the card repeats all that it was sent, and so does the answer, in pieces that cut it anywhere.
fn echo_as_agent(request: &Recorded) -> Answer {
    let all = format!("{} {:?} {} 904140915", request.path, request.headers, request.text());
    if request.method == "GET" {
        let host = request.header("host").concat();
        let url = format!("http://{host}/legal/rpc");
        return Answer::json(&json!({
            "name": all, "description": all, "url": url, "protocolVersion": "0.3.0", "capabilities": { "streaming": true },
        }));
    }
    let id = request.json()["id"].clone();
    let result = |result: Value| json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string();
    let status = |state: &str| {
        let message = json!({ "kind": "message", "parts": [{ "kind": "text", "text": all }] });
        result(json!({ "kind": "status-update", "taskId": "t", "status": { "state": state, "message": message } }))
    };
    let artifact = |at: usize, part: Value| {
        let artifact = json!({ "artifactId": "a", "parts": [part] });
        result(json!({ "kind": "artifact-update", "taskId": "t", "append": at > 0, "artifact": artifact }))
    };
    let letters: Vec<char> = all.chars().collect();
    let pieces = letters.chunks(7).map(|piece| json!({ "kind": "text", "text": piece.iter().collect::<String>() }));
    let data = json!({ "kind": "data", "data": { "seen": all, "number": 904_140_915 } });
    let pieces = pieces.chain([data]).enumerate().map(|(at, part)| artifact(at, part));
    Answer::sse([status("working")].into_iter().chain(pieces).chain([status("completed")]))
}

/// What a careless API does when it refuses.
fn refusals() -> Vec<Answer> {
    let said = "tok-c4n4ry with pin 904140915 is not allowed";
    vec![
        Answer::error(401, &json!({ "error": said })).header("www-authenticate", "Bearer error=\"tok-c4n4ry\""),
        Answer::text(said).with_status(404),
        Answer::bytes("application/json", said),
        Answer::bytes("application/json", format!("{{\"person\": \"{said}")),
        Answer::json(&json!({ "person": { "name": said, "age": said } })),
        Answer::json(&json!({ "person": { "name": "Ada", "age": 904_140_915 } })),
        Answer::json(&json!({ "person": { "tok-c4n4ry": said } })),
        Answer::json(&json!({ "errors": [{ "message": said }], "person": { "name": "Ada" } })),
        Answer::redirect(302, "http://127.0.0.1:1/c4n4ry?token=tok-c4n4ry"),
        Answer::redirect(307, "http://169.254.169.254/tok-c4n4ry"),
        Answer::bytes("text/c4n4ry; tok-c4n4ry", said).header("content-encoding", "gzip"),
        Answer::cut("application/json", said),
        Answer::close(),
    ]
}

pub(crate) struct Setting {
    pub(crate) llm: ScriptedLlm,
    pub(crate) api: ScriptedApi,
    pub(crate) folder: tempfile::TempDir,
    /// The store's address; none for SQLite, in the folder for data.
    store: Option<String>,
}

impl Setting {
    pub(crate) async fn new() -> Self {
        Self::on(None).await
    }

    /// The same, on a store at this address.
    pub(crate) async fn on(store: Option<String>) -> Self {
        let setting = Self {
            llm: ScriptedLlm::start().await,
            api: ScriptedApi::start().await,
            folder: tempfile::tempdir().unwrap(),
            store,
        };
        setting.llm.always(Reply::text("Good."));
        setting.api.always(echo);
        setting.api.on("/legal/.well-known/agent-card.json").always(echo_as_agent);
        setting.api.on("/legal/rpc").always(echo_as_agent);
        // In a folder of their own: what is searched later is what the server wrote.
        std::fs::create_dir(setting.data()).unwrap();
        std::fs::write(setting.folder.path().join("billing-token"), format!("{BILLING}\n")).unwrap();
        std::fs::write(setting.folder.path().join("llm-key"), format!("{LLM_KEY}\n")).unwrap();
        std::fs::write(setting.config(), setting.yaml()).unwrap();
        setting
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("letterhead.yaml")
    }

    fn yaml(&self) -> String {
        let sqlite = || format!("sqlite://{}", self.data().join("letterhead.db").display());
        YAML.replace("@STORE@", &self.store.clone().unwrap_or_else(sqlite))
            .replace("@FOLDER@", &self.folder.path().display().to_string())
            .replace("@LLM@", &self.llm.openai_url())
            .replace("@API@", &self.api.url(""))
            .replace("@HOST@", &self.api.host())
    }

    pub(crate) async fn house(&self, key: Option<&str>) -> House {
        let env = |name: &str| match name {
            "LETTERHEAD_KEY" => key.map(str::to_owned),
            name => [CRM, ENV].into_iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_owned()),
        };
        let checked = assembly::check_text("letterhead.yaml", &self.yaml(), &env).unwrap_or_else(|r| panic!("{r}"));
        is_clean("Debug of the configuration", format!("{:#?} {:#?}", checked.loaded, checked.registry));
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = assembly::open_store(&checked, &clock).unwrap();
        House::serve(checked.into_app(store, clock), PATIENCE).await
    }

    /// Everything that a caller may do, against a server at `base`; all that comes back is searched.
    pub(crate) async fn exercise(&self, base: &str) {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let send = async |method: &str, path: &str, body: Option<&Value>, more: &[(&str, &str)]| {
            let request = client.request(method.parse().unwrap(), format!("{base}{path}"));
            let request =
                SECRETS.iter().chain(more).fold(request, |request, (name, value)| request.header(*name, *value));
            let answered = match body {
                Some(body) => request.json(body),
                None => request,
            };
            let answered: Answered = answered.answered().await;
            is_clean(path, format!("{:?}\n{}", answered.headers, answered.text));
            answered
        };
        for path in ["/v1/chat/completions", "/api/v1/chat/completions/s", "/api/chat"] {
            for body in [said("Hi"), said_streaming("Hi")] {
                let answered = send("POST", path, Some(&body), &[]).await;
                assert_eq!(answered.status, 200, "{}", answered.text);
            }
        }
        // The same as tasks, and everything that is told of them later.
        for method in ["SendMessage", "SendStreamingMessage"] {
            for agent in ["assistant", "failing", "echoing"] {
                self.llm.then(Reply::tool("order_as_seen", json!({ "id": "7" })));
                let body = rpc(method, &json!({ "message": message_in("Hi", "contextId", agent) }));
                let answered = send("POST", "/a2a", Some(&body), &[("x-agent-schema", agent)]).await;
                assert!(answered.status == 200 && answered.text.contains("TASK_STATE_"), "{}", answered.text);
            }
        }
        let all = rpc("ListTasks", &json!({ "historyLength": 9, "includeArtifacts": true, "pageSize": 100 }));
        let listed = send("POST", "/a2a", Some(&all), &[]).await.rpc_result();
        assert!(listed["tasks"].as_array().is_some_and(|tasks| tasks.len() > 8), "{listed}");
        send("GET", "/.well-known/agent-card.json", None, &[]).await;
        for answer in refusals() {
            let case = format!("{answer:?}");
            self.api.on("POST /fails/tok-c4n4ry").then(answer);
            let answered =
                send("POST", "/api/v1/chat/completions/s", Some(&said("Hi")), &[("x-agent-schema", "failing")]).await;
            let problem = answered.problem(502, "context_unavailable");
            assert!(problem["detail"].as_str().unwrap().contains("context.fails"), "{case}: {problem:#}");
        }
        for refusal in std::iter::once(None).chain(refusals().into_iter().map(Some)) {
            let is_refused = refusal.is_some();
            if let Some(refusal) = refusal {
                self.api.on("POST /order/7/tok-c4n4ry").then(refusal);
            }
            self.llm.then(Reply::tool("order", json!({ "id": "7" })));
            let using = [("x-agent-schema", "using")];
            let answered = send("POST", "/api/v1/chat/completions/t", Some(&said_streaming("Hi")), &using).await;
            assert_eq!(answered.status, 200, "{}", answered.text);
            let told = self.llm.last().json()["messages"].as_array().unwrap().last().unwrap()["content"].to_string();
            assert_eq!(told.contains("on its way"), !is_refused, "{told}");
        }
        // What the API sends back of a request is not read by a model, nor by who reads its answer.
        self.llm.then(Reply::tool("order_as_seen", json!({ "id": "7" })));
        let echoing = [("x-agent-schema", "echoing")];
        let answered = send("POST", "/api/v1/chat/completions/e", Some(&said_streaming("Hi")), &echoing).await;
        assert_eq!(answered.status, 200, "{}", answered.text);
        let told = self.llm.last().json()["messages"].to_string();
        assert!(told.contains("You were told") && told.contains("on its way"), "{told}");
        assert!(told.matches("\u{2039}removed\u{203a}").count() > 20, "{told}");
        // Nor is what an agent sends back of a question, to whom it streams or is told.
        for path in ["/api/v1/chat/completions/a", "/api/chat", "/v1/chat/completions"] {
            self.llm.then(Reply::tool("ask_agent", json!({ "agent": "legal", "input": "May we?" })));
            let answered = send("POST", path, Some(&said_streaming("Hi")), &[("x-agent-schema", "asking")]).await;
            assert_eq!(answered.status, 200, "{}", answered.text);
            let told = self.llm.last().json()["messages"].as_array().unwrap().last().unwrap()["content"].to_string();
            assert!(told.contains("May we?") && told.matches("\u{2039}removed\u{203a}").count() > 5, "{told}");
        }
        let refused = "tok-c4n4ry with pin 904140915 and crm-c4n4ry is not allowed";
        let in_words = json!({ "jsonrpc": "2.0", "id": null, "error": { "code": -32603, "message": refused } });
        for refusal in refusals().into_iter().chain([Answer::json(&in_words)]) {
            self.api.on("/legal/rpc").then(refusal);
            self.llm.then(Reply::tool("ask_agent", json!({ "agent": "legal", "input": "May we?" })));
            let asking = [("x-agent-schema", "asking")];
            let answered = send("POST", "/api/v1/chat/completions/a", Some(&said_streaming("Hi")), &asking).await;
            assert_eq!(answered.status, 200, "{}", answered.text);
        }
        // It leads out of its place in the address; it cannot stand in a header.
        for wrong in ["..", "=?base64?Li4KdG9rLWM0bjRyeQ==?="] {
            let answered = client
                .post(format!("{base}/api/v1/chat/completions/wrong"))
                .header("x-agent-schema", "failing")
                .header("user_id", "u_1")
                .header("auth_token", wrong)
                .json(&said("Hi"))
                .answered()
                .await;
            assert!((400..600).contains(&answered.status), "{wrong}: {}", answered.text);
            is_clean(wrong, format!("{:?}\n{}", answered.headers, answered.text));
        }
        for path in [
            "",
            "/s",
            "/s/messages",
            "/s/trail",
            "/t",
            "/t/messages",
            "/t/trail",
            "/e/messages",
            "/e/trail",
            "/a/messages",
            "/a/trail",
            "/a/turns",
        ] {
            let answered = send("GET", &format!("/api/v1/sessions{path}"), None, &[]).await;
            assert_eq!(answered.status, 200, "{}", answered.text);
            // What happened is told all the same.
            if path == "/s/trail" {
                let told = answered.text.matches("could not be fetched").count();
                assert_eq!(told % refusals().len(), 0, "{}", answered.text);
                assert!(told > 0 && answered.text.contains("headers.auth_token"), "{}", answered.text);
            }
        }
        for request in self.llm.requests() {
            is_clean("the body of a model call", &request.body);
            assert_eq!(request.header("authorization"), [format!("Bearer {LLM_KEY}")]);
        }
        self.all_arrived();
    }

    /// The search would find them: on the wire they were, where they belong.
    fn all_arrived(&self) {
        let first =
            |place: &str| self.api.requests_to(place).into_iter().next().unwrap_or_else(|| panic!("no {place}"));
        assert_eq!(first("/in_header").header("authorization"), ["Bearer tok-c4n4ry"]);
        assert_eq!(first("/in_path/tok-c4n4ry").method, "GET");
        assert_eq!(first("/in_query").query(), Some("pin=904140915&t=tok-c4n4ry"));
        assert_eq!(first("POST /in_body").json(), json!({ "a": [{ "t": "tok-c4n4ry", "p": 904_140_915 }] }));
        assert_eq!(first("POST /in_form").text(), "t=tok-c4n4ry");
        let ours = first("/of_ours");
        let ours = ["x-crm", "x-billing", "x-env"].map(|name| ours.header(name).concat());
        assert_eq!(ours, ["crm-c4n4ry", "billing-c4n4ry", "env-c4n4ry"]);
        for (place, version) in [("/legal/.well-known/agent-card.json", "1.0"), ("/legal/rpc", "0.3")] {
            let asked = first(place);
            assert_eq!(asked.header("authorization"), ["Bearer tok-c4n4ry"]);
            assert_eq!(asked.header("x-t"), ["crm-c4n4ry 904140915 env-c4n4ry"]);
            assert_eq!(asked.header("a2a-version"), [version]);
        }
        assert_eq!(first("/whole_kept").header("x-t"), ["tok-c4n4ry 904140915"]);
        let prompts: Vec<String> = self.llm.requests().iter().map(|request| request.text().to_owned()).collect();
        assert!(prompts.iter().any(|prompt| prompt.contains(&["Ada"; 5].join(" "))), "{prompts:?}");
    }

    /// Every file that a server wrote.
    pub(crate) fn files_are_clean(&self) {
        let mut found = 0;
        for entry in std::fs::read_dir(self.data()).unwrap() {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            is_clean(&path.display().to_string(), &bytes);
            found += usize::from(bytes.windows(3).any(|window| window == b"u_1"));
        }
        assert!(found > 0, "nothing was written, though it is no secret");
    }

    pub(crate) async fn program(&self, run: usize, key: Option<&str>) -> Program {
        let keys = key.map(|key| ("LETTERHEAD_KEY", key));
        let env: Vec<(&str, &str)> = [CRM, ENV].into_iter().chain(keys).collect();
        Program::start_with(&self.config(), &self.data().join(format!("log-{run}")), &env).await
    }
}
