//! What the tests of the guarded client share.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Method};
use letterhead::outbound::{
    EgressAllow, Guard, GuardOptions, GuardedClient, OutboundFault, Outgoing, Resolver, Url, WholeAnswer,
};

/// A client that may go to these places too.
pub(crate) fn client(allow: &[&str]) -> GuardedClient {
    GuardedClient::new(options(allow)).unwrap()
}

pub(crate) fn options(allow: &[&str]) -> GuardOptions {
    GuardOptions { allow: EgressAllow::parse(allow).unwrap(), ..GuardOptions::default() }
}

/// A client for servers on 127.0.0.1.
pub(crate) fn local() -> GuardedClient {
    client(&["127.0.0.1"])
}

pub(crate) fn get(url: &str) -> Outgoing {
    Outgoing { method: Method::GET, url: Url::parse(url).unwrap(), headers: HeaderMap::new(), body: Bytes::new() }
}

pub(crate) fn post(url: &str, body: &'static str) -> Outgoing {
    let headers = [(http::header::CONTENT_TYPE, "application/json".parse().unwrap())].into_iter().collect();
    Outgoing { method: Method::POST, headers, body: body.into(), ..get(url) }
}

pub(crate) fn with_header(mut request: Outgoing, name: &'static str, value: &str) -> Outgoing {
    request.headers.insert(name, value.parse().unwrap());
    request
}

pub(crate) async fn sent(client: &GuardedClient, request: Outgoing) -> Result<WholeAnswer, OutboundFault> {
    client.send(&request, Guard::default()).await
}

/// The text of a call's body; the call works.
pub(crate) async fn text(client: &GuardedClient, request: Outgoing) -> String {
    String::from_utf8(sent(client, request).await.unwrap().body.into()).unwrap()
}

/// A resolver that says what it was told to say, one answer after the other, and keeps what it was asked.
#[derive(Default)]
pub(crate) struct Scripted {
    answers: Mutex<VecDeque<Vec<IpAddr>>>,
    asked: Mutex<Vec<String>>,
}

impl Scripted {
    pub(crate) fn saying(answers: &[&[&str]]) -> Arc<Self> {
        let answers = answers.iter().map(|all| all.iter().map(|address| address.parse().unwrap()).collect());
        Arc::new(Self { answers: Mutex::new(answers.collect()), asked: Mutex::default() })
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

#[async_trait]
impl Resolver for Scripted {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        self.asked.lock().unwrap().push(host.to_owned());
        self.answers.lock().unwrap().pop_front().ok_or_else(|| io::Error::other("nothing is scripted"))
    }
}
