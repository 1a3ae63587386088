//! The task that leads a router: loads tables, answers on the control socket, starts the end and sees it through.
//!
//! It alone owns the [`Loader`]. Requests never wait for it: it can be slow, the threads go on.

use crate::control::Question;
use crate::control::wire::{Activity, Report};
use crate::load::{Loader, Refreshed};
use crate::router::{Ended, RouterError, runtime_error};
use crate::shared::{Shared, Stage};
use crate::watch::FolderEvents;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// The table's file is looked at this often even if nothing was heard of it.
const RESYNC: Duration = Duration::from_secs(5);
/// Control requests that may wait for the supervisor.
pub(crate) const QUESTIONS: usize = 16;

/// Whether SIGTERM and SIGINT end this router.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signals {
    Obeyed,
    Ignored,
}

/// The leading task's state.
#[derive(Debug)]
pub(crate) struct Supervisor {
    shared: Arc<Shared>,
    loader: Loader,
}

impl Supervisor {
    pub(crate) const fn new(shared: Arc<Shared>, loader: Loader) -> Self {
        Self { shared, loader }
    }

    /// Lives until all threads have ended, or one did that should not have.
    pub(crate) async fn live(
        mut self,
        folder: FolderEvents,
        mut questions: mpsc::Receiver<Question>,
        mut farewells: mpsc::Receiver<Ended>,
        signals: Signals,
    ) -> Result<(), RouterError> {
        let mut term = Terminations::new(signals).map_err(runtime_error)?;
        let mut stage = self.shared.stage.subscribe();
        let mut resync = tokio::time::interval(RESYNC);
        let mut deadline = None;
        loop {
            if *stage.borrow_and_update() >= Stage::Stopping && deadline.is_none() {
                tracing::info!("the router takes no new connections and finishes what is in flight");
                deadline = Some(Instant::now() + self.shared.timeouts.shutdown);
            }
            let end = deadline.unwrap_or_else(|| Instant::now() + RESYNC);
            tokio::select! {
                _ = folder.changed() => { self.loader.refresh(); }
                _ = resync.tick() => { self.loader.refresh(); }
                Some(question) = questions.recv() => self.reply(question),
                () = term.recv() => self.stop(),
                _ = stage.changed() => {}
                () = tokio::time::sleep_until(end), if deadline.is_some() => {
                    self.shared.stage.send_replace(Stage::Ended);
                    deadline = Some(Instant::now() + RESYNC);
                }
                farewell = farewells.recv() => match farewell {
                    None => return Ok(()),
                    Some((_, Some(Ok(())))) if self.shared.is_stopping() => {}
                    Some((index, result)) => {
                        self.shared.stage.send_replace(Stage::Ended);
                        return Err(match result {
                            Some(Err(source)) => RouterError::Thread { index, source },
                            Some(Ok(())) | None => RouterError::Panicked { index },
                        });
                    }
                },
            }
        }
    }

    fn stop(&self) {
        self.shared.stage.send_modify(|stage| *stage = (*stage).max(Stage::Stopping));
    }

    fn reply(&mut self, question: Question) {
        // One who asked and left does not need the answer.
        match question {
            Question::Status(reply) => drop(reply.send(self.report())),
            Question::Load(reply) => drop(reply.send(match self.loader.refresh() {
                Refreshed::InForce(serial) => Ok(serial),
                Refreshed::Refused => Err(self.loader.refused().unwrap_or_default().to_owned()),
            })),
            Question::Drain(reply) => {
                self.stop();
                drop(reply.send(self.report()));
            }
        }
    }

    fn report(&mut self) -> Report {
        let serving = *self.shared.stage.borrow() == Stage::Serving;
        let activity = if serving { Activity::Serving } else { Activity::Draining };
        let refused = self.loader.refused().map(str::to_owned);
        Report { status: self.loader.status(), activity, refused }
    }
}

/// The signals that end a router.
struct Terminations {
    signals: Vec<Signal>,
}

impl Terminations {
    fn new(signals: Signals) -> io::Result<Self> {
        let signals = match signals {
            Signals::Obeyed => vec![signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?],
            Signals::Ignored => Vec::new(),
        };
        Ok(Self { signals })
    }

    async fn recv(&mut self) {
        match self.signals.as_mut_slice() {
            [term, interrupt] => {
                tokio::select! {
                    _ = term.recv() => {}
                    _ = interrupt.recv() => {}
                }
            }
            _ => std::future::pending().await,
        }
    }
}
