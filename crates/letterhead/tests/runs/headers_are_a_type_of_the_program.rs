//! The headers of a run are a type of the program: declared by it, read as it, and templates are checked against it.

use letterhead::tool::{FunctionTool, ToolContext, ToolError};
use letterhead::{Code, HeaderSchema, RegistryPlace, Runner, Secret};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::script::{Answer, Script};
use crate::support::{Nothing, agent, said};

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct AppHeaders {
    user_id: u32,
    #[schemars(length(max = 20))]
    org_name: Option<String>,
    #[serde(default)]
    labels: Vec<String>,
    auth_token: Secret,
}

async fn who(_: Nothing, context: ToolContext) -> Result<serde_json::Value, ToolError> {
    let headers: AppHeaders = context.headers()?;
    Ok(json!({
        "user": headers.user_id, "org": headers.org_name, "labels": headers.labels,
        "token_bytes": headers.auth_token.reveal_text().len(), "tenant": context.caller().tenant().as_str(),
    }))
}

#[tokio::test]
async fn a_tool_reads_them_as_the_type() {
    let script = Script::default().on("a", [Answer::tool("who"), Answer::text("done")]);
    let tool = FunctionTool::new("who", "Says who asks.", who).unwrap();
    let runner = Runner::with_agents([agent("a").with_tool(tool)]).provider(script.provider());
    let runner = runner.headers(HeaderSchema::of::<AppHeaders>().unwrap()).build().unwrap();
    let run = runner.run("Hello").context_headers([("UserId", "7"), ("labels", "a, b"), ("authToken", "t0p-secret")]);
    let result = run.await.unwrap();
    assert_eq!(
        said(&result.messages)[2],
        r#"tool: {"user":7,"org":null,"labels":["a","b"],"token_bytes":10,"tenant":"default"}"#
    );
}

#[tokio::test]
async fn what_does_not_fit_is_refused_before_any_call_all_at_once() {
    let script = Script::default();
    let runner = Runner::with_agents([agent("a")]).provider(script.provider());
    let runner = runner.headers(HeaderSchema::of::<AppHeaders>().unwrap()).build().unwrap();
    let run = runner.run("Hello").context_headers([("userid", "-7"), ("orgname", "a name that is far too long")]);
    let problem = run.await.unwrap_err().problem;
    let faults: Vec<_> = problem.errors().iter().map(|fault| (fault.to_string(), fault.code)).collect();
    assert_eq!(faults.len(), 3, "{faults:?}");
    assert!(faults.iter().any(|(text, code)| text.contains("`authtoken`") && *code == Code::MissingHeader));
    assert!(!problem.to_string().contains("-7") && !problem.to_string().contains("far too long"), "{problem}");
    assert!(script.calls().is_empty());
}

#[tokio::test]
async fn a_type_that_the_declaration_does_not_have_is_a_tools_error() {
    let script = Script::default().on("a", [Answer::tool("who"), Answer::text("done")]);
    let tool = FunctionTool::new("who", "Says who asks.", who).unwrap();
    let other = HeaderSchema::compile(&json!({ "properties": { "user_id": {} } })).unwrap();
    let runner = Runner::with_agents([agent("a").with_tool(tool)]).provider(script.provider()).headers(other);
    let result = runner.build().unwrap().run("Hello").context_header("user_id", "canary").await.unwrap();
    let told = &said(&result.messages)[2];
    assert!(told.contains("`user") && !told.contains("canary"), "{told}");
}

#[test]
fn templates_are_checked_against_the_type_with_every_fault_and_what_was_meant() {
    let agent = agent("a")
        .with_instructions("For {{ headers.user_id }} and {{ headers.usrId }}\nof {{ headers.authToken }}")
        .with_header("X-Org", "{{ headers.orgNam }}")
        .with_required_header("label");
    let faults = Runner::with_agents([agent])
        .provider(Script::default().provider())
        .headers(HeaderSchema::of::<AppHeaders>().unwrap())
        .build()
        .unwrap_err()
        .0;
    let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
    let of = |place: &RegistryPlace| faults.iter().filter(|fault| fault.place == *place).count();
    // `userId` is the field: lower case makes no difference, an underscore within a word does.
    assert_eq!(of(&RegistryPlace::Instructions("a".into())), 3, "{told:?}");
    for hint in ["did you mean `headers.userid`?", "did you mean `headers.orgname`?"] {
        assert!(told.iter().any(|fault| fault.contains(hint)), "{hint}: {told:?}");
    }
    assert!(told.iter().any(|fault| fault.contains("secret")), "{told:?}");
    assert_eq!(of(&RegistryPlace::Requires("a".into(), 0)), 1);
}
