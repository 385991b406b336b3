//! The main job, told step by step: real requests to the server that runs, and what they left.

use anyhow::{Context, bail};
use http::HeaderMap;
use letterhead::outbound::base_url;
use serde::Deserialize;

use super::request::{self, Request, SESSION};
use super::stayed;
use super::wrap::Wrap;
use crate::cli::client::{Client, Failure};
use crate::cli::paint::Paint;
use crate::cli::rules::{Fate, Rules};
use crate::cli::{columns, print, trail};

/// What the reader can type next.
const NEXT: [(&str, &str); 5] = [
    ("letterhead demo --serve", "this server again, staying up, with `curl` lines to try"),
    ("letterhead init", "writes a commented letterhead.yaml"),
    ("letterhead serve", "runs it; `model: openai:gpt-4.1-mini` is its one line for a real model"),
    ("letterhead chat -H 'user_id: u_1'", "talks to it, from a terminal or on a pipe"),
    ("letterhead --help", "everything else; README.md says why"),
];

/// Tells the story of one conversation.
#[derive(Debug)]
pub(super) struct Story {
    base: String,
    client: Client,
    rules: Rules,
    paint: Paint,
}

/// A chunk of a UI message stream; of the others only the type is read.
#[derive(Deserialize)]
struct Chunk {
    r#type: String,
    #[serde(default)]
    delta: String,
    #[serde(default, rename = "errorText")]
    error: String,
}

/// What a session remembers.
#[derive(Deserialize)]
struct Remembered {
    headers: Vec<String>,
}

impl Story {
    /// A story about the server at a URL.
    pub(super) fn new(base: String, rules: Rules, paint: Paint) -> anyhow::Result<Self> {
        let client = Client::new(base_url(&base)?)?;
        Ok(Self { base, client, rules, paint })
    }

    /// Tells it.
    pub(super) async fn tell(&self) -> anyhow::Result<()> {
        let paint = self.paint;
        print(&format!(
            "{}\n\n{}\n\n",
            paint.bold("Letterhead: the headers of a request say who is asking, and agents act on it."),
            paint.dim(&format!(
                "A server is up at {}, with a database in a temporary folder.\n\
                 It needs no key: its provider `openai` is the demo model, which answers with what it was told.\n\
                 Its configuration: letterhead demo --print-config",
                self.base
            )),
        ))?;

        let first = request::personal().with(&[("X-Environment", "production"), ("X-Debug", "on")]);
        self.heading(1, "A request with headers")?;
        self.ask(&first).await?;
        self.explain(&first)?;

        self.heading(2, "The same conversation, without headers")?;
        self.ask(&request::personal_again()).await?;
        print(
            "  The session remembers declared headers: sent once, they hold for the conversation and its caller.\n  \
             X-Environment was for the first LLM call alone.\n\n",
        )?;

        self.heading(3, "The trail: which header went where, by names, never by values")?;
        self.trail(&first).await?;
        self.next()
    }

    fn heading(&self, number: u32, text: &str) -> anyhow::Result<()> {
        Ok(print(&format!("{}\n\n", self.paint.bold(&format!("{number}. {text}"))))?)
    }

    /// Shows a request, sends it, and shows the answer as it comes.
    async fn ask(&self, request: &Request) -> anyhow::Result<()> {
        let curl = request.curl(&self.base, |name| self.rules.hides(name));
        let curl = curl.lines().map(|line| format!("  {line}\n")).collect::<String>();
        print(&format!("{}\n", self.paint.code(&curl)))?;
        let answer = self.client.post(request.path, &request.header_map(), request.body.to_owned()).await?;
        let mut frames = answer.frames;
        let mut wrap = Wrap::new("  > ");
        while let Some(frame) = frames.next().await? {
            if frame.data == "[DONE]" {
                return Ok(print(&format!("{}\n", self.paint.voice(&wrap.finish())))?);
            }
            let chunk: Chunk = serde_json::from_str(&frame.data).context("the stream holds what is no chunk")?;
            match chunk.r#type.as_str() {
                "text-delta" => print(&self.paint.voice(&wrap.push(&chunk.delta)))?,
                "error" => bail!("the turn failed: {}", chunk.error),
                _ => {}
            }
        }
        Err(Failure::cut_short().into())
    }

    /// What each header of a request was taken for.
    fn explain(&self, request: &Request) -> anyhow::Result<()> {
        let kinds = [
            (Fate::Context, "declared: checked, remembered, and sent where the configuration names them"),
            (Fate::Secret, "declared as a secret: the same, but no model, log or error ever shows it"),
            (Fate::Runtime, "for the LLM call of this request alone: there it wins over agent and provider"),
            (Fate::Credential, "for this server, which verifies nobody here: never passed on"),
            (Fate::Undeclared, "not declared: it ends at the door"),
        ];
        let rows: Vec<(String, &str)> = kinds
            .into_iter()
            .filter_map(|(fate, meaning)| {
                let names = request.headers.iter().map(|(name, _)| *name).filter(|name| self.rules.fate(name) == fate);
                let names = names.collect::<Vec<_>>().join(", ");
                (!names.is_empty()).then_some((names, meaning))
            })
            .collect();
        let width = rows.iter().map(|(names, _)| names.len()).max().unwrap_or_default();
        let rows = rows.iter().map(|(names, meaning)| {
            format!("  {}  {}\n", self.paint.bold(&format!("{names:width$}")), self.paint.dim(meaning))
        });
        Ok(print(&format!("{}\n", rows.collect::<String>()))?)
    }

    /// Shows what the server wrote down about the conversation.
    async fn trail(&self, first: &Request) -> anyhow::Result<()> {
        let nobody = HeaderMap::new();
        let rows = trail::read(&self.client, SESSION, &nobody).await?;
        let session = self.client.get(&format!("/api/v1/sessions/{SESSION}"), &[], &nobody).await?;
        let session: Remembered = serde_json::from_value(session).context("the session cannot be read")?;
        let arrived: Vec<&str> = first.headers.iter().map(|(name, _)| *name).collect();
        let behind = stayed::behind(&rows, &session.headers, &arrived, &self.rules);
        let behind = columns::table(["turn", "header", "destination", "why"], behind, self.paint);
        print(&format!(
            "{}\n  {}\n\n{}\n",
            indented(&trail::sent(&rows, self.paint)),
            self.paint.bold("What stayed behind"),
            indented(&behind)
        ))?;
        let source = format!("GET /api/v1/sessions/{SESSION}/trail");
        Ok(print(&format!("  {}\n\n", self.paint.dim(&format!("From {source}, as it stands in the database."))))?)
    }

    fn next(&self) -> anyhow::Result<()> {
        let width = NEXT.iter().map(|(command, _)| command.len()).max().unwrap_or_default();
        let rows = NEXT.map(|(command, what)| {
            let blanks = " ".repeat(width - command.len());
            format!("  {}{blanks}  {}\n", self.paint.code(command), self.paint.dim(what))
        });
        Ok(print(&format!("{}\n\n{}", self.paint.bold("What to try next"), rows.concat()))?)
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}
