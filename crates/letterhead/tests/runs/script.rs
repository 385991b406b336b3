//! A model that says what a test told it to say, and remembers what it was asked.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use http::HeaderMap;
use letterhead::model::{
    ChatModel, FinishReason, ModelCall, ModelError, ModelErrorKind, ModelEvent, ModelStream, Usage,
};
use letterhead::{Provider, ProviderKind};
use serde_json::{Map, Value};
use tokio::sync::Semaphore;

/// Answers, queued by the name of the model: agents of a test that are to be told apart have models of their own.
#[derive(Clone, Default)]
pub(crate) struct Script(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    answers: HashMap<String, VecDeque<Answer>>,
    calls: Vec<Seen>,
}

/// What a model was asked.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) model: String,
    pub(crate) instructions: String,
    pub(crate) messages: Vec<Value>,
    pub(crate) tools: Vec<String>,
    /// What it was told of them.
    pub(crate) descriptions: Vec<String>,
    pub(crate) tool_choice: Option<String>,
    pub(crate) params: Map<String, Value>,
    pub(crate) output: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) stream: bool,
}

impl Seen {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut all = self.headers.get_all(name).iter();
        let value = all.next().map(|value| value.to_str().unwrap());
        assert!(all.next().is_none(), "`{name}` goes out once");
        value
    }

    /// The contents of the messages, each with its role.
    pub(crate) fn said(&self) -> Vec<String> {
        let text = |message: &Value| message["content"].as_str().unwrap_or_default().to_owned();
        self.messages.iter().map(|m| format!("{}: {}", m["role"].as_str().unwrap(), text(m))).collect()
    }
}

/// One answer, step by step.
#[derive(Clone, Default)]
pub(crate) struct Answer(Vec<Step>);

#[derive(Clone)]
enum Step {
    Event(ModelEvent),
    Fail(ModelErrorKind),
    /// Waits for a permit, which the test gives; a semaphore that nobody adds to hangs for ever.
    Wait(Arc<Semaphore>),
}

impl Answer {
    /// Text, word by word; ten tokens in, five out.
    pub(crate) fn text(text: &str) -> Self {
        Self::default().word_by_word(text).usage(10, 5).finish(FinishReason::Stop)
    }

    /// Tool calls `call_0`, `call_1`, ….
    pub(crate) fn calls<'a>(calls: impl IntoIterator<Item = (&'a str, Value)>) -> Self {
        let mut answer = Self::default();
        for (index, (name, arguments)) in calls.into_iter().enumerate() {
            answer = answer.call(index, Some(&format!("call_{index}")), Some(name), &arguments.to_string());
        }
        answer.usage(10, 5).finish(FinishReason::ToolCalls)
    }

    /// One call without arguments.
    pub(crate) fn tool(name: &str) -> Self {
        Self::calls([(name, Value::Object(Map::new()))])
    }

    pub(crate) fn word_by_word(mut self, text: &str) -> Self {
        self.0.extend(text.split_inclusive(' ').map(|word| Step::Event(ModelEvent::Text(word.to_owned()))));
        self
    }

    pub(crate) fn call(self, index: usize, id: Option<&str>, name: Option<&str>, arguments: &str) -> Self {
        let (id, name) = (id.map(str::to_owned), name.map(str::to_owned));
        self.event(ModelEvent::ToolCall { index, id, name, arguments: arguments.to_owned() })
    }

    pub(crate) fn usage(self, input_tokens: u64, output_tokens: u64) -> Self {
        self.event(ModelEvent::Usage(Usage { input_tokens, output_tokens, ..Usage::default() }))
    }

    pub(crate) fn finish(self, reason: FinishReason) -> Self {
        self.event(ModelEvent::Finish(reason))
    }

    pub(crate) fn event(mut self, event: ModelEvent) -> Self {
        self.0.push(Step::Event(event));
        self
    }

    pub(crate) fn wait(mut self, gate: &Arc<Semaphore>) -> Self {
        self.0.push(Step::Wait(Arc::clone(gate)));
        self
    }

    pub(crate) fn hang(self) -> Self {
        self.wait(&Arc::new(Semaphore::new(0)))
    }

    pub(crate) fn fail(mut self, kind: ModelErrorKind) -> Self {
        self.0.push(Step::Fail(kind));
        self
    }
}

impl Script {
    /// What the model of this name says next, and then, and then.
    pub(crate) fn on(self, model: &str, answers: impl IntoIterator<Item = Answer>) -> Self {
        self.0.lock().unwrap().answers.entry(model.to_owned()).or_default().extend(answers);
        self
    }

    /// The provider `test`, on which the models are.
    pub(crate) fn provider(&self) -> Provider {
        Provider::new("test", ProviderKind::OpenAi, Arc::new(self.clone()))
    }

    /// Every call so far.
    pub(crate) fn calls(&self) -> Vec<Seen> {
        self.0.lock().unwrap().calls.clone()
    }

    /// The calls of one model.
    pub(crate) fn calls_of(&self, model: &str) -> Vec<Seen> {
        self.calls().into_iter().filter(|call| call.model == model).collect()
    }

    /// The only call of one model.
    pub(crate) fn call_of(&self, model: &str) -> Seen {
        let mut calls = self.calls_of(model);
        assert_eq!(calls.len(), 1, "calls of {model}");
        calls.remove(0)
    }
}

#[async_trait]
impl ChatModel for Script {
    async fn call(&self, call: ModelCall) -> Result<ModelStream, ModelError> {
        let answer = {
            let mut state = self.0.lock().unwrap();
            state.calls.push(Seen {
                model: call.model.to_string(),
                instructions: call.instructions.as_deref().unwrap_or_default().to_owned(),
                messages: call.messages.iter().map(|message| serde_json::from_str(message).unwrap()).collect(),
                tools: call.tools.iter().map(|tool| tool.name().to_owned()).collect(),
                descriptions: call.tools.iter().map(|tool| tool.description().unwrap_or_default().to_owned()).collect(),
                tool_choice: call.tool_choice.map(|choice| choice.get().to_owned()),
                params: call.params,
                output: call.output.map(|output| output.name.to_string()),
                headers: call.headers,
                stream: call.stream,
            });
            state.answers.get_mut(&*call.model).and_then(VecDeque::pop_front)
        };
        let answer = answer.unwrap_or_else(|| panic!("nothing is scripted for `{}`", call.model));
        Ok(Box::pin(stream::iter(answer.0).filter_map(|step| async move {
            // Every piece comes by itself, as over a network.
            tokio::task::yield_now().await;
            match step {
                Step::Event(event) => Some(Ok(event)),
                Step::Fail(kind) => Some(Err(ModelError::new(kind, "the provider failed as it was told"))),
                Step::Wait(gate) => {
                    gate.acquire().await.unwrap().forget();
                    None
                }
            }
        })))
    }
}
