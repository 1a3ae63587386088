//! One SSH connection: who it is, and which of the protocol's many requests are heard. All that is not heard here is refused.

use super::command::{self, GitCommand};
use super::session::{self, Asked};
use crate::git::protocol;
use crate::http::blocking;
use crate::state::State;
use domain::policy::Actor;
use engine::RequestId;
use engine::ops::ssh_keys;
use russh::keys::{HashAlg, PublicKey};
use russh::server::{Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, Pty};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// Channels of one connection that wait to be told what they are for.
const MAX_CHANNELS: usize = 8;
/// Channels of one connection that are served at once, each with a git of its own.
const MAX_SERVED: usize = 8;

/// A connection.
pub struct Door {
    state: State,
    /// Of the key that the client has shown.
    fingerprint: Option<String>,
    /// Cancelled when the client is known.
    known: CancellationToken,
    channels: HashMap<ChannelId, Waiting>,
    places: Arc<Semaphore>,
}

/// A channel that has not been told what it is for.
struct Waiting {
    channel: Channel<Msg>,
    protocol: Option<String>,
}

impl Door {
    pub fn new(state: State) -> Self {
        Self {
            state,
            fingerprint: None,
            known: CancellationToken::new(),
            channels: HashMap::new(),
            places: Arc::new(Semaphore::new(MAX_SERVED)),
        }
    }

    pub fn known(&self) -> CancellationToken {
        self.known.clone()
    }

    async fn actor_of(&self, fingerprint: String) -> Option<Actor> {
        let engine = self.state.engine.clone();
        let found = blocking(move || ssh_keys::authenticate(&engine, &fingerprint)).await;
        found.unwrap_or_default()
    }

    /// A channel that may be served now, and the right to serve it.
    fn take(&mut self, channel: ChannelId) -> Option<(Waiting, OwnedSemaphorePermit)> {
        let waiting = self.channels.remove(&channel)?;
        Some((waiting, Arc::clone(&self.places).try_acquire_owned().ok()?))
    }

    fn spawn(&self, place: OwnedSemaphorePermit, work: impl Future<Output = ()> + Send + 'static) {
        self.state.tasks.spawn(async move {
            work.await;
            drop(place);
        });
    }
}

fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

impl Handler for Door {
    type Error = russh::Error;

    async fn auth_publickey_offered(
        &mut self,
        _user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        match self.actor_of(fingerprint(offer.public_key)).await {
            Some(_) => Ok(Auth::Accept),
            None => Ok(Auth::reject()),
        }
    }

    async fn auth_publickey(&mut self, _user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        let shown = fingerprint(key.public_key);
        match self.actor_of(shown.clone()).await {
            Some(_) => {
                self.fingerprint = Some(shown);
                self.known.cancel();
                Ok(Auth::Accept)
            }
            None => Ok(Auth::reject()),
        }
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        if self.channels.len() < MAX_CHANNELS {
            self.channels.insert(channel.id(), Waiting { channel, protocol: None });
            reply.accept().await;
        }
        Ok(())
    }

    async fn channel_close(&mut self, channel: ChannelId, _session: &mut Session) -> Result<(), Self::Error> {
        self.channels.remove(&channel);
        Ok(())
    }

    async fn env_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        value: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let version = protocol(value).filter(|_| name == "GIT_PROTOCOL");
        match (self.channels.get_mut(&channel), version) {
            (Some(waiting), Some(version)) => {
                waiting.protocol = Some(version.to_owned());
                session.channel_success(channel)
            }
            (_, _) => session.channel_failure(channel),
        }
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let (Some((waiting, place)), Some(shown)) = (self.take(channel), self.fingerprint.clone()) else {
            return session.channel_failure(channel);
        };
        // A connection outlives what its client may do: key, account or role may have gone since.
        let Some(actor) = self.actor_of(shown).await else {
            return session.channel_failure(channel);
        };
        session.channel_success(channel)?;
        match command::parse(data) {
            Some(GitCommand { service, repository }) => {
                let request_id = RequestId::new(&crate::http::request_id::random_id());
                let asked = Asked { service, repository, actor, protocol: waiting.protocol, request_id };
                self.spawn(place, session::serve(self.state.clone(), asked, waiting.channel));
            }
            None => self.spawn(place, session::refuse(waiting.channel, ONLY_GIT.to_owned())),
        }
        Ok(())
    }

    /// What `ssh git@host` asks for: it is told that all is well, and why nothing more happens.
    async fn shell_request(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), Self::Error> {
        match self.take(channel) {
            Some((waiting, place)) => {
                session.channel_success(channel)?;
                self.spawn(place, session::refuse(waiting.channel, ONLY_GIT.to_owned()));
                Ok(())
            }
            None => session.channel_failure(channel),
        }
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        _term: &str,
        _columns: u32,
        _rows: u32,
        _width: u32,
        _height: u32,
        _modes: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(channel)
    }

    async fn x11_request(
        &mut self,
        channel: ChannelId,
        _single_connection: bool,
        _protocol: &str,
        _cookie: &str,
        _screen: u32,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(channel)
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        _name: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(channel)
    }
}

const ONLY_GIT: &str = "You are known here, but there is no shell: this server takes git over SSH and nothing else.\n\
    Push with: git push ssh://git@HOST:PORT/APP.git main\n";
