//! One report has every fault of a configuration, each with its place, its line and what to do; and no secret.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "the functions that tests share fail by panicking, as tests do"
)]

use std::{fmt::Write as _, fs};

use letterhead_server::config::{self, Report, Severity};
use proptest::prelude::*;

fn env(name: &str) -> Option<String> {
    match name {
        "SECRET" => Some("sk-from-environment".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

#[track_caller]
fn faults(text: &str) -> Report {
    config::read_text("letterhead.yaml", text, &env).expect_err("faults")
}

/// The messages of a report with their severity, line and column: enough where the rendering is not in question.
fn messages(report: &Report) -> String {
    report.diagnostics().iter().fold(String::new(), |mut text, found| {
        let place = found.span.map(|span| report.source().position(span.start));
        let place = place.map_or_else(|| "-".to_owned(), |place| format!("{}:{}", place.line, place.column));
        let mark = if found.severity == Severity::Warning { " (warning)" } else { "" };
        let help = found.help.as_ref().map_or_else(String::new, |help| format!(" → {}", help.replace('\n', "; ")));
        writeln!(text, "{place}{mark} {}{help}", found.message).unwrap();
        text
    })
}

#[test]
fn faults_of_all_stages_are_in_one_report() {
    insta::assert_snapshot!(faults(
        r#"# a comment
server:
  listen: 8080
  max_boddy: 4MiB
  header_timeout: 30
store: postgres://me:hunter2@db/letterhead?sslmode=yes
providers:
  openai: { kind: opnai, api_key: "${OPENAI_API_KEY}", retries: "3" }
  other: { api_key: sk-written-down, base_url: "ftp://host" }
model: opnai:gpt-4.1
history:
  max_tokens: 100
headers:
  properties:
    user_id: { type: string }
    auth_token: { type: string }
runtime_headers: ["*", Cookie, Authorization]
agents:
  assistant:
    instrctions: You help.
    headers: { Content-Type: text/plain, X-Org: acme, x-org: again }
    requires: [user-id, org_nam]
    handoffs: [billng]
  billing:
    instructions: |
      You handle billing for ${TENANT}.
      Say {{ headers.user_id }}.
  billing: {}
entry: asistant
"#
    ));
}

#[test]
fn a_slip_in_a_key_is_met_with_the_nearest_one() {
    insta::assert_snapshot!(messages(&faults(
        "agent: {}\nagents: {a: {handofs: [b], model: demo}}\nlimits: {max_turn: 1}\nheader: {}\nzzz: 1\n\
         sessions: {header_ttl: 1h}\nauth: {trust: never}\nproviders: {x: {kind: openai, apikey: a, base-url: b}}"
    )));
}

#[test]
fn names_of_things_that_are_not_there_are_met_with_those_that_are() {
    insta::assert_snapshot!(messages(&faults(
        "providers: {main: {kind: openai, api_key: a}, azure: {kind: openai, api_key: a}, claude: {kind: anthropic, api_key: a}}
model: openai:gpt-4.1
allow_models: ['maim:*', 'claude:*', 'anthropic:claude-*', 'gemini:*']
agents:
  first: {model: 'nowhere:x', handoffs: [first, secnd], delegates: [third]}
  second: {model: 'anthropic:claude-sonnet', requires: [user_id]}
model_aliases: {first: second, gpt-4o: secnd, o3: 'maim:o3'}
entry: zero"
    )));
}

#[test]
fn a_delegate_that_is_written_wrongly_is_told_where() {
    insta::assert_snapshot!(messages(&faults(
        "agents:
  a: {delegates: [{agent: b, history: true}, {agent: nobody}, {agent: a}, {history: true}, {agent: b, histroy: true}, {agent: b, history: 'yes'}, 7, [b], '']}
  b: {description: B., delegates: [a, {agent: a}]}
entry: a"
    )));
}

#[test]
fn values_of_the_wrong_form_say_what_is_wanted() {
    insta::assert_snapshot!(messages(&faults(
        "server: {listen: '1.2.3.4', hosts: [a b], cors: ['https://a/b', http://ok], max_body: 4MB, header_timeout: 0s, drain: -1s}
store: sqlite:file.db
sessions: {ttl: 1 day, headers_ttl: 999999d, turn_wait: 10}
limits: {max_turns: 0, depth: two, runs: 1.5, header_value: 0, headers_total: 1}
auth: {trust_identity_headers: [10.0.0.0/33, 0.0.0.0/0, 10.0.0.1], anonymous: yes}
providers: {x: {kind: openai, base_url: 'http://u:p@host', retries: 99, max_headers: '10'}, y y: {kind: demo}, demo: {kind: openai}}
model: gpt-4.1
env: [A-B, LETTERHEAD_KEY, NOT_SET]
allow_params: temperature
runtime_headers: ['X-*-Y', 'a b', X-A, x-a, 'mcp-*']
agents: {a: {instructions: [a], headers: {X-N: , X-L: [1]}, params: {model: x, stop: '{{ x }}'}}, a/b: {}, A: }
entry: a"
    )));
}

#[test]
fn headers_that_nobody_may_configure_are_refused_at_every_level() {
    insta::assert_snapshot!(messages(&faults(
        "providers: {p: {kind: openai, headers: {Host: a, X-A: \"a\\nb\", 'b c': d}}}
agents: {a: {headers: {Cookie: a, connection: b, Content-Length: '1', Authorization: a, x-api-key: b, X-B: c, x-b: c}}}
headers: {properties: {openai_key: {type: string, writeOnly: true}}}
runtime_headers: [Host, content-language, api-key, OpenAI-Key, X-Fine, 'X-Trace-*']"
    )));
}

#[test]
fn every_origin_needs_a_verifier() {
    insta::assert_snapshot!(messages(&faults("server: {cors: ['*']}\nagents: {a: {}}")));
    let behind_a_gateway = "server: {cors: ['*']}\nauth: {trust_identity_headers: [10.0.0.0/8]}\nagents: {a: {}}";
    assert!(config::read_text("a", behind_a_gateway, &env).is_ok());
}

#[test]
fn agents_that_a_model_would_mix_up_are_refused() {
    insta::assert_snapshot!(messages(&faults("agents: {help-desk: {}, Help_Desk: {}, helpdesk: {}}\nentry: helpdesk")));
}

#[test]
fn several_agents_need_an_entry_and_one_does_not() {
    insta::assert_snapshot!(messages(&faults("agents: {a: {}, b: {}}")));
    assert_eq!(config::read_text("a", "agents: {a: {}}", &env).unwrap().config.entry, "a");
}

#[test]
fn variables_that_cannot_be_replaced_are_marked_one_by_one() {
    insta::assert_snapshot!(faults(
        r#"agents:
  a:
    description: "${ONE} and ${TWO}"
    instructions: |-
      Hello {{ headers.user_id }},
      this is ${SECRET}.
    headers: { X-A: "${", X-B: "${1A}", X-C: "${A B}", X-D: "${EMPTY:-x}", X-E: "$${ok} {{ a }} $5" }
"#
    ));
}

#[test]
fn keys_that_are_there_twice_are_all_reported() {
    insta::assert_snapshot!(messages(&faults(
        "agents: {a: {model: demo, model: demo}}\nentry: a\nagents: {}\nentry: b"
    )));
}

#[test]
fn what_is_not_yaml_is_shown_where_it_breaks() {
    let cases = [
        "agents:\n  a: {instructions: {{ headers.x }}}\n",
        "agents:\n\ta: {}\n",
        "agents:\n  a:\n    instructions: You are: a bot\n",
        "agents:\n  a:\n    instructions: \"never closed\n",
        "agents:\n  a: [1, 2\nentry: a\n",
        "agents:\n  a:\n    headers: {X: @home}\n",
        "agents:\n  a: {}\n   b: {}\n",
        "agents:\n  a\n  b\n",
        "agents: {a: {instructions: \"\\q\"}}",
        "agents: *nobody",
        "agents: &a [*a]",
        "agents: {a: {instructions: !secret x, params: {<<: {}}}}",
        "agents: {a: {}}\n---\nagents: {}",
        "api_key: sk-written-down\nx: [",
        "[]",
        "# nothing\n",
    ];
    let reports = cases.iter().fold(String::new(), |mut all, case| {
        writeln!(all, "{}", faults(case)).unwrap();
        all
    });
    assert!(!reports.contains("sk-written-down"), "{reports}");
    insta::assert_snapshot!(reports);
}

#[test]
fn a_file_that_cannot_be_read_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let mut reports = String::new();
    let mut read = |name: &str| {
        let report = config::read(&folder.path().join(name), &env).expect_err(name).to_string();
        let prefix = format!("{}/", folder.path().display());
        reports.push_str(&report.replace(&prefix, ""));
        reports.push('\n');
    };
    fs::create_dir(folder.path().join("folder")).unwrap();
    fs::write(folder.path().join("latin1.yaml"), b"entry: a\nagents: {a: {instructions: gr\xfc\xdfe}}\n").unwrap();
    fs::write(folder.path().join("huge.yaml"), "# ".to_owned() + &"x".repeat(9 << 20)).unwrap();
    for name in ["missing.yaml", "folder", "latin1.yaml", "huge.yaml"] {
        read(name);
    }
    insta::assert_snapshot!(reports);
}

#[test]
fn a_file_built_to_exhaust_the_reader_is_refused() {
    let deep = format!("agents: {}{}", "[".repeat(200), "]".repeat(200));
    assert!(messages(&faults(&deep)).contains("nested deeper than 64 levels"));
    let very_deep = format!("agents: {}", "[".repeat(500_000));
    assert!(faults(&very_deep).has_errors());
    let blocks: String = (0..300).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    assert!(messages(&faults(&blocks)).contains("nested deeper than 64 levels"));

    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let again = format!("*a{}, ", level - 1).repeat(10);
        writeln!(laughs, "a{level}: &a{level} [{again}]").unwrap();
    }
    assert!(messages(&faults(&laughs)).contains("too large from here on"));

    let many: String = (0..200_000).map(|number| format!("k{number}:\n")).collect();
    assert!(messages(&faults(&many)).contains("too large from here on"));
    let wrong: String = (0..10_000).map(|number| format!("k{number}:\n")).collect();
    assert!(faults(&wrong).to_string().contains("more"), "the first are shown, and how many there are beside them");
}

#[test]
fn a_report_of_thousands_of_faults_is_cut() {
    let many: String = (0..5_000).map(|number| format!("key{number}: {{}}\n")).collect();
    let report = faults(&format!("{many}agents: {{a: {{}}}}\n")).to_string();
    assert!(report.contains("… and 4900 more") && report.contains("5000 errors"), "{report}");
}

#[test]
fn no_report_shows_a_secret() {
    let report = faults(
        "providers:
  a: {kind: openai, api_key: sk-written-down, headers: {X-Api-Key: sk-header}, base_url: 'https://me:sk-url@host', oops: 1}
  b: {kind: openai, api_key: [sk-list], oops: 1}
  c: {kind: openai, api_key: \"sk-\\\n    folded\", oops: 1}
  d: {kind: '${SECRET}', base_url: '${SECRET}', retries: '${SECRET}', timeout: '${SECRET}'}
  ? e
  : {kind: openai, api_key: \"sk-line\\nbreak\"}
model: '${SECRET}:x'
agents: {a: {model: '${SECRET}', handoffs: ['${SECRET}'], requires: ['${SECRET}'], headers: {Authorization: 'Bearer sk-agent', X-T: '${SECRET}'}}}
store: '${SECRET}'
entry: '${SECRET}'
server: {listen: '${SECRET}', cors: ['${SECRET}']}
auth: {trust_identity_headers: ['${SECRET}'], anonymous: '${SECRET}'}
allow_models: ['${SECRET}', '${SECRET}:*']
model_aliases: {x: '${SECRET}'}
runtime_headers: ['${SECRET} *']
env: ['${SECRET}']
egress: {allow: ['${SECRET}', '${SECRET} x']}
credentials: {x: {env: '${SECRET}'}, y: {file: '${SECRET}'}}
context:
  x: {url: '${SECRET}', method: '${SECRET}', when: '${SECRET}', select: '${SECRET}', timeout: '${SECRET}', headers: {Host: '${SECRET}'}}
  y: {fetchConfig: {url: 'a ${SECRET}', timeout: '${SECRET}'}, body: '${SECRET}', form: {a: '${SECRET}'}, optional: '${SECRET}'}
tools: {x: {url: '${SECRET}', max_answer: '${SECRET}', effects: '${SECRET}'}}
",
    );
    for text in [report.to_string(), format!("{report:?}"), report.render(config::Colour::Always)] {
        assert!(!text.contains("sk-"), "{text}");
    }
    assert!(report.count(Severity::Error) > 20, "{report}");
}

#[test]
fn no_debug_output_of_a_configuration_shows_a_secret() {
    let text = "providers: {a: {kind: openai, api_key: sk-written-down, headers: {X-T: sk-header}}}\nenv: [SECRET]\n\
                agents: {a: {headers: {Authorization: 'Bearer ${SECRET}'}, model: 'a:x'}}";
    let loaded = config::read_text("letterhead.yaml", text, &env).unwrap();
    assert!(!format!("{loaded:?}").contains("sk-"), "{loaded:?}");
    assert_eq!(loaded.config.env[0].value(), "sk-from-environment");
}

#[test]
fn warnings_alone_do_not_stop_a_configuration() {
    let text = "headers: {properties: {api_key: {type: string}, monkey: {type: string, writeOnly: false}}}
providers: {openai: {kind: openai}}
model: openai:gpt-4.1
limits: {header_value: 64KiB, headers_total: 1MiB}
agents: {a: {handoffs: [b]}, b: {}}
runtime_headers: [X-A, x-a, 'Sec-*']
entry: a";
    let loaded = config::read_text("letterhead.yaml", text, &env).unwrap();
    assert!(!loaded.warnings.has_errors());
    insta::assert_snapshot!(messages(&loaded.warnings));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text_is_a_configuration_or_has_a_report_with_places_in_it(
        pieces in prop::collection::vec(
            prop_oneof![
                prop::sample::select(vec![
                    "agents:", " a: ", "{", "}", "[", "]", "\n", "\n  ", "\n    ", ": ", ", ", "- ", "\"", "'", "|\n", ">-\n", "&x ", "*x",
                    "!t ", "# ", "${A}", "${SECRET}", "$$", "${", "{{ h }}", "\\", "\t", "\r\n", "\u{feff}", "é日", "\0", "store: ",
                    "providers: ", "api_key: ", "model: ", "headers: ", "10s", "1", "~", "? ", "---", "%",
                ]).prop_map(str::to_owned),
                "\\PC{0,4}",
            ],
            0..30,
        )
    ) {
        let text = pieces.concat();
        let report = match config::read_text("letterhead.yaml", &text, &env) {
            Ok(loaded) => loaded.warnings,
            Err(report) => {
                prop_assert!(report.has_errors());
                report
            }
        };
        for found in report.diagnostics() {
            let span = found.span.unwrap_or_default();
            prop_assert!(report.source().text().get(span.start..span.end).is_some(), "{found:?}");
        }
        let escapes = report.render(config::Colour::Never).matches('\x1b').count();
        prop_assert_eq!(escapes, 0);
    }
}
