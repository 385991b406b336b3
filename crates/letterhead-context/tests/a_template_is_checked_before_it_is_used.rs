//! The load check: every fault at once, each with line and column and what to do; and no source, however made, can crash
//! the check.

#![cfg(test)]

use letterhead_context::{HeaderSchema, Read, Scope, Sink, Template, TemplateFault};
use serde_json::json;

fn schema() -> HeaderSchema {
    HeaderSchema::compile(&json!({
        "properties": { "user_id": {}, "x-plan-tier": {}, "x": { "type": "integer" }, "auth_token": { "writeOnly": true } },
    }))
    .unwrap()
}

fn compile(source: &str, sink: Sink) -> Result<Template, Vec<TemplateFault>> {
    let schema = schema();
    let (variables, env) = (["user".to_owned()], ["REGION".to_owned()]);
    Template::compile(source, sink, Scope { variables: &variables, env: &env, ..Scope::of(&schema) })
}

fn faults(source: &str, sink: Sink) -> Vec<String> {
    match compile(source, sink) {
        Ok(_) => panic!("compiled: {source}"),
        Err(faults) => faults.iter().map(ToString::to_string).collect(),
    }
}

fn fault(source: &str) -> String {
    let mut faults = faults(source, Sink::Instructions);
    assert_eq!(faults.len(), 1, "{faults:?}");
    faults.remove(0)
}

fn reads(source: &str) -> Vec<String> {
    let template = compile(source, Sink::Header).unwrap_or_else(|faults| panic!("{source}: {faults:?}"));
    template.reads().iter().map(|read| read.label().to_string()).collect()
}

#[test]
fn wrong_names_are_told_with_the_nearest_right_one() {
    assert_eq!(
        fault("Hello {{ headers.usr_id }}"),
        "1:10: the header `usr_id` is not declared: did you mean `headers.user_id`?"
    );
    assert!(fault("{{ headers.zzz }}").ends_with("declare it under `headers.properties`"));
    assert_eq!(fault("{{ header.user_id }}"), "1:4: there is no `header`: did you mean `headers`?");
    assert_eq!(fault("{{ usr.name }}"), "1:4: there is no `usr`: did you mean `user`?");
    assert_eq!(fault("{{ user_id }}"), "1:4: there is no `user_id`: did you mean `headers.user_id`?");
    assert_eq!(fault("{{ tenant_id }}"), "1:4: there is no `tenant_id`: did you mean `caller.tenant_id`?");
    // Two roots have a member of this name. Those that are named are the ones that can be read here.
    let here = "roots are headers, caller, session, request, agent, claims, state, user";
    assert_eq!(fault("{{ id }}"), format!("1:4: there is no `id`: {here}"));
    assert!(
        faults("{{ id }}", Sink::Url)[0]
            .ends_with("roots are headers, env, caller, session, request, agent, claims, state, user")
    );
    assert!(fault("{{ caller.usr_id }}").contains("there is `caller.tenant_id`, `caller.user_id`, `caller.source`"));
    assert_eq!(fault("{{ headers.user_id | uper }}"), "1:22: there is no filter `uper`: did you mean `upper`?");
    assert!(fault("{{ headers.user_id is strng }}").contains("did you mean `string`?"));
    assert!(faults("{{ env.REGOIN }}", Sink::Header)[0].contains("add `REGOIN` to `env:`"));
}

#[test]
fn all_faults_come_at_once_with_their_places() {
    let source = "Gr\u{fc}\u{df}e, {{ headers.a }} und \u{65e5}\u{672c} {{ headers.b }}\n{% if nobody %}{{ headers.auth_token }}{% endif %}\n  {% include 'x' %}";
    let faults = faults(source, Sink::Instructions);
    let places: Vec<_> =
        faults.iter().map(|fault| fault.splitn(3, ':').take(2).collect::<Vec<_>>().join(":")).collect();
    assert_eq!(places, ["1:11", "1:34", "2:7", "2:19", "3:6"], "{faults:?}");
}

#[test]
fn a_model_visible_sink_takes_no_secret_and_no_environment_in_any_spelling() {
    let sources = [
        "{{ headers.auth_token }}",
        "{{ headers.Auth-Token }}",
        "{{ headers['AUTH-TOKEN'] }}",
        "{{ headers[\"auth\" \"_token\"] }}",
        "{{ (headers).auth_token }}",
        "{{ headers.auth_token | length }}",
        "{% if headers.auth_token %}x{% endif %}",
        "{% set t = headers.auth_token %}",
        "{{ [1, headers.auth_token][1] }}",
        "{{ {'a': headers.auth_token} }}",
        "{{ 'x' if headers.auth_token == 'a' }}",
        "{% for c in headers.auth_token %}{{ c }}{% endfor %}",
        "{{ user | default(headers.auth_token) }}",
        "{{ env.REGION }}",
        "{{ env }}",
        "{{ credentials.crm }}",
        "{{ args.x }}",
    ];
    for source in sources {
        assert!(compile(source, Sink::Instructions).is_err(), "{source}");
    }
    for source in sources.iter().filter(|source| source.contains("headers") || source.contains("env.")) {
        assert!(compile(source, Sink::Header).is_ok(), "{source}: a destination may have it");
    }
}

#[test]
fn headers_are_used_by_a_name_that_stands_in_the_source() {
    let sources = [
        "{{ headers }}",
        "{{ headers | items }}",
        "{{ headers | tojson }}",
        "{{ headers[user] }}",
        "{{ headers[headers.user_id] }}",
        "{{ headers['auth' + '_token' if user else 'x'] }}",
        "{{ headers[0] }}",
        "{{ headers[:] }}",
        "{{ [headers][0] }}",
        "{{ {'h': headers}.h }}",
        "{% set h = headers %}{{ h.auth_token }}",
        "{% for h in headers %}{{ h }}{% endfor %}",
        "{% for h in [headers] %}{{ h.auth_token }}{% endfor %}",
        "{{ user or headers }}",
        "{{ headers if user else 1 }}",
        "{{ user | default(headers) }}",
        "{{ 'auth_token' in headers }}",
        "{{ headers is mapping }}",
    ];
    for source in sources {
        assert!(compile(source, Sink::Instructions).is_err(), "{source}");
        assert!(compile(source, Sink::Header).is_err(), "{source}");
    }
    assert!(compile("{{ headers['user' + '_id'] }}", Sink::Instructions).is_ok(), "a constant is as good as a literal");
    assert!(compile("{{ headers['auth' + '_token'] }}", Sink::Instructions).is_err());
}

#[test]
fn the_language_is_a_subset() {
    for statement in [
        "{% include 'a' %}",
        "{% import 'a' as b %}",
        "{% from 'a' import b %}",
        "{% extends 'a' %}",
        "{% block a %}{% endblock %}",
        "{% macro a() %}{% endmacro %}",
        "{% call a() %}{% endcall %}",
        "{% filter upper %}{% endfilter %}",
        "{% autoescape true %}{% endautoescape %}",
        "{% with a = 1 %}{% endwith %}",
        "{% set a %}b{% endset %}",
        "{% do a() %}",
        "{% for a in user recursive %}{% endfor %}",
        "{{ user.items() }}",
        "{{ range(3) }}",
        "{{ user ~ 'a' }}",
        "{{ user | default(*user) }}",
        "{{ 'x' * 1000 }}",
        "{{ [0] * user.n }}",
        "{{ user.name[1:3] }}",
        "{{ user | split(none, 1) }}",
    ] {
        assert!(compile(statement, Sink::Instructions).is_err(), "{statement}");
    }
    for source in [
        "{# a comment #}a",
        "{% raw %}{{ not.read }}{% endraw %}",
        "{% set a = user.n + 1 %}{{ a | int * 2 }}",
        "{% for a, b in user | items %}{{ loop.index }}{{ a }}{% else %}-{% endfor %}",
        "{{ 1 if user is defined else 2 }}",
        "{{ user.name | part(1, 3) }}",
        "{{ user.name | default(none) }}",
        "{{ [1, 2] | max }}",
        "{{ user.a.b[0]['c'] }}",
    ] {
        compile(source, Sink::Instructions).unwrap_or_else(|faults| panic!("{source}: {faults:?}"));
    }
}

#[test]
fn a_slice_is_a_filter() {
    assert_eq!(
        fault("{{ headers.user_id[:8] }}"),
        "1:11: slices are not allowed, as one of nothing would be `[]`: write `x | part(0, 8)` for `x[0:8]`"
    );
    let faults = compile("{{ user[headers.auth_tokem:] }}", Sink::Instructions).unwrap_err();
    assert_eq!(faults.len(), 2, "what stands in it is checked as well: {faults:?}");
}

#[test]
fn nothing_is_multiplied_but_numbers() {
    let refused = [
        "user.price * user.count",
        "user.price * 2",
        "90000000 * user.name",
        "'x' * 1000",
        "[0] * user.n",
        "(user.a, 1) * 3",
        "(user.name + user.name) * 2",
        "(user.name if user.vip else 1) * 2",
        "(user.name if user.vip) * 2",
        "user.n | int(default=user.name) * 2",
        "user.n | default(0) * 2",
        "user.n | int | default(user.name) * 2",
        "user.n | int | default * 2",
        "user.list | max * 2",
        "true * user.name | length",
        "loop * 2",
    ];
    for product in refused {
        for source in
            [format!("{{{{ {product} }}}}"), format!("{{% for x in user %}}{{{{ {product} }}}}{{% endfor %}}")]
        {
            assert!(compile(&source, Sink::Header).is_err(), "{source}");
        }
    }
    assert_eq!(
        fault("{{ user.price * 2 }}"),
        "1:4: `*` multiplies numbers, and would repeat a text or a list: write `| int` or `| float` behind what is no number for sure"
    );
    for product in [
        "2 * 3.5",
        "-2 * (1 + 2)",
        "user.price | float * user.count | int",
        "user.price | float * (user.count | int + 1) * 2",
        "(user.a - user.b) * 2",
        "(user.a / 2) * 100 // 1",
        "user.list | length * 2",
        "user.n | abs * (user.m | round(2))",
        "user.n | int(default=1) * 2",
        "user.n | int | default(1) * 2",
        "(1 if user.vip else user.n | int) * 2",
        "(user.n | int if user.vip) * 2",
        "-user.n * 2 ** user.n",
    ] {
        compile(&format!("{{{{ {product} }}}}"), Sink::Header).unwrap_or_else(|faults| panic!("{product}: {faults:?}"));
    }
}

#[test]
fn roots_cannot_be_assigned() {
    for root in
        ["headers", "caller", "claims", "session", "request", "agent", "state", "env", "credentials", "args", "user"]
    {
        assert!(fault(&format!("{{% set {root} = 1 %}}")).contains("is a root"), "{root}");
        assert!(fault(&format!("{{% for {root} in [1] %}}{{% endfor %}}")).contains("is a root"), "{root}");
        assert!(fault(&format!("{{% for a, {root} in [[1, 2]] %}}{{% endfor %}}")).contains("is a root"), "{root}");
    }
    assert!(fault("{% set user.name = 1 %}").contains("only a name"));
    assert!(fault("{% for a in [1] %}{% set b = a %}{% endfor %}{{ b }}").contains("there is no `b`"));
}

#[test]
fn dashed_names_are_one_name_and_blanks_subtract() {
    assert_eq!(reads("{{headers.x-plan-tier}}"), ["headers.x-plan-tier"]);
    assert_eq!(reads("{{- headers.X-Plan-Tier -}}"), ["headers.x-plan-tier"]);
    assert_eq!(reads("{{headers.x_plan_tier-}}"), ["headers.x-plan-tier"]);
    assert_eq!(reads("{{ headers.x-plan-tier|upper }}"), ["headers.x-plan-tier"]);
    assert_eq!(reads("{{ headers.x - 1 }}"), ["headers.x"]);
    assert_eq!(reads("{{ headers.x -1 }}"), ["headers.x"]);
    assert_eq!(
        reads("{{ 'headers.x-plan-tier' }}{# headers.x-plan-tier #}{% raw %}{{headers.x-y}}{% endraw %}"),
        [""; 0]
    );
    assert_eq!(reads("{{ state.headers.x-1 }}"), ["state.headers"], "a member called headers of something else");
    assert_eq!(
        reads("{{ headers.x-plan-tier if headers.x - 1 > headers.x else 1 }}"),
        ["headers.x", "headers.x-plan-tier"]
    );
    let digits = HeaderSchema::compile(&json!({ "properties": { "x-2fa-1e5-0a": {} } })).unwrap();
    let template = Template::compile("{{ headers.x-2fa-1e5-0a }}", Sink::Header, Scope::of(&digits)).unwrap();
    assert_eq!(template.reads()[0].label().as_ref(), "headers.x-2fa-1e5-0a");
    assert_eq!(
        fault("{{ headers.x-plan-tears }}"),
        "1:4: the header `x_plan_tears` is not declared: did you mean `headers.x-plan-tier`?"
    );
}

#[test]
fn reads_say_where_values_come_from() {
    let source = "{{ headers.User-Id }}{{ headers.auth_token }}{{ env.REGION }}{{ user.name }}{{ caller.user_id }}{{ claims.sub }}";
    let template = compile(source, Sink::Header).unwrap();
    let told: Vec<_> = template.reads().iter().map(|read| (read.label().to_string(), read.is_secret())).collect();
    let expected = [
        ("headers.user_id", false),
        ("headers.auth_token", true),
        ("env.REGION", true),
        ("user", false),
        ("caller.user_id", false),
        ("claims.sub", false),
    ];
    assert_eq!(told, expected.map(|(label, secret)| (label.to_owned(), secret)));
    assert!(template.reads().contains(&Read::Variable("user".into())));
}

#[test]
fn syntax_errors_have_a_line() {
    assert!(fault("a\nb {{ user.name").starts_with("2:3: "));
    assert!(fault("a\n\n  {% if user %}").starts_with("3:"));
    assert!(fault("{{ }}").starts_with("1:1: "));
    assert!(fault("{% endif %}").starts_with("1:1: "));
    assert!(fault("{{ 'a }}").starts_with("1:1: "));
    assert!(fault("{{ 99999999999999999999999999999999999999999 }}").starts_with("1:1: "));
}

/// Compiles on a thread with the stack of an async worker, where a runaway recursion would end the process.
fn survives(source: String) -> Result<(), String> {
    let compile = move || match compile(&source, Sink::Header) {
        Ok(_) => Ok(()),
        Err(faults) => Err(faults[0].to_string()),
    };
    std::thread::Builder::new().stack_size(2 * 1024 * 1024).spawn(compile).unwrap().join().unwrap()
}

#[test]
fn no_source_exhausts_the_stack() {
    const MANY: usize = 100_000;
    let hostile = [
        format!("{{{{ {}1{} }}}}", "(\n".repeat(MANY), ")\n".repeat(MANY)),
        format!("{{{{ {}1{} }}}}", "[\n".repeat(MANY), "]\n".repeat(MANY)),
        format!("{{{{ {}1 }}}}", "not\n".repeat(MANY)),
        format!("{{{{ {}1 }}}}", "-\n".repeat(MANY)),
        format!("{{{{ 1{} }}}}", "\n+ 1".repeat(MANY)),
        format!("{{{{ 1{} }}}}", "\nif 1 else 1".repeat(MANY)),
        format!("{{{{ 1{} }}}}", "\n|abs".repeat(MANY)),
        format!("{{{{ 1{} }}}}", "\nis odd".repeat(MANY)),
        format!("{{{{ user{} }}}}", "\n.a".repeat(MANY)),
        format!("{{{{ user{} }}}}", "\n[0]".repeat(MANY)),
        format!("{{{{ {}1{} }}}}", "{'a':\n".repeat(MANY), "}\n".repeat(MANY)),
        format!("{{% for {}a{} in user %}}{{% endfor %}}", "(\n".repeat(MANY), ")\n".repeat(MANY)),
        format!("{}{}", "{% if 1 %}\n".repeat(MANY), "{% endif %}\n".repeat(MANY)),
        format!("{}{}", "{% for a in user %}\n".repeat(MANY / 2), "{% endfor %}\n".repeat(MANY / 2)),
        format!("{{% if 1 %}}{}{{% endif %}}", "{% elif 1 %}\n".repeat(MANY / 2)),
        "{% if 1 %}{% else %}\n".repeat(MANY / 4),
        "{%\n".repeat(MANY),
        "{{\n".repeat(MANY),
        "{#\n".repeat(MANY),
        "{{ ".repeat(MANY),
    ];
    for source in hostile {
        let start: String = source.chars().take(40).collect();
        assert!(survives(source).is_err(), "{start}");
    }
    assert!(survives("a".repeat(1024 * 1024 + 1)).unwrap_err().contains("at most"));
}

#[test]
fn what_is_within_the_bounds_compiles() {
    let generous = [
        format!("{{{{ {}1{} }}}}", "(".repeat(40), ")".repeat(40)),
        format!("{{{{ {}1 }}}}", "not ".repeat(250)),
        format!("{{{{ {}1 }}}}", "- ".repeat(250)),
        format!("{{{{ 1{} }}}}", " + 1".repeat(120)),
        format!("{{{{ 1{} }}}}", " if 1 else 1".repeat(60)),
        format!("{{{{ user{} }}}}", ".a".repeat(120)),
        format!("{{{{ user{} }}}}", "|d".repeat(120)),
        format!("{}x{}", "{% if 1 %}".repeat(48), "{% endif %}".repeat(48)),
        format!("{}x{}", "{% for a in user %}".repeat(48), "{% endfor %}".repeat(48)),
        format!("{{% if 1 %}}{}{{% endif %}}", "{% elif 1 %}".repeat(47)),
        // Both at once: as deep as statements and expressions go.
        format!("{}{{{{ {}1 }}}}{}", "{% if 1 %}".repeat(48), "not ".repeat(250), "{% endif %}".repeat(48)),
        format!("{}{{{{ 1{} }}}}{}", "{% if 1 %}".repeat(48), " if 1 else 1".repeat(60), "{% endif %}".repeat(48)),
        "{% if 1 %}a{% elif 2 %}b{% else %}c{% endif %}".repeat(1000),
        "{{ user.name }} and {{ headers.user_id }}\n".repeat(1000),
        "a".repeat(1024 * 1024),
    ];
    for source in generous {
        let start: String = source.chars().take(40).collect();
        survives(source).unwrap_or_else(|fault| panic!("{start}: {fault}"));
    }
}
