//! Who turns names into addresses, and the check of what comes of it.

use std::error::Error;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::vec;

use async_trait::async_trait;
use hyper_util::client::legacy::connect::dns::Name;
use tower_service::Service;

use super::guarded::{EgressAllow, Refused};

/// Turns the name of a host into its addresses.
#[async_trait]
pub trait Resolver: Send + Sync + 'static {
    /// The addresses of a host, best first.
    ///
    /// # Errors
    ///
    /// If the name cannot be resolved.
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

#[async_trait]
impl<R: Resolver + ?Sized> Resolver for Arc<R> {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        (**self).resolve(host).await
    }
}

/// Asks the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolver for SystemResolver {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// Gives the HTTP client those addresses of a name that it may call. It connects to what it is given and asks nobody
/// else, so a name cannot mean one address when it is checked and another when it is called.
#[derive(Clone)]
pub(super) struct CheckedResolver {
    pub(super) resolver: Arc<dyn Resolver>,
    /// None: all addresses, because the name itself is listed.
    pub(super) allow: Option<Arc<EgressAllow>>,
}

impl Service<Name> for CheckedResolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = Box<dyn Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (resolver, allow) = (Arc::clone(&self.resolver), self.allow.clone());
        Box::pin(async move {
            let mut addresses = resolver.resolve(name.as_str()).await?;
            let refusal = |address: &IpAddr| allow.as_ref().and_then(|allow| allow.refusal(*address));
            let first = addresses.iter().find_map(refusal);
            addresses.retain(|address| refusal(address).is_none());
            match first {
                // Without a port, which is not known here.
                Some(kind) if addresses.is_empty() => {
                    Err(Refused::Resolved { host: name.as_str().into(), kind }.into())
                }
                None if addresses.is_empty() => Err(io::Error::from(io::ErrorKind::NotFound).into()),
                _ => {
                    // Without a port too: the client adds it.
                    let addresses = addresses.into_iter().map(|address| SocketAddr::new(address, 0));
                    Ok(addresses.collect::<Vec<_>>().into_iter())
                }
            }
        })
    }
}
