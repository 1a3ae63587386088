//! A deadline that moves often and expires seldom. Moving it costs a store; the runtime's timer is touched only when it fires
//! early or when something really waits.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// Fires when nothing moved it for its duration.
#[derive(Debug)]
pub(crate) struct IdleTimer {
    deadline: Instant,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl IdleTimer {
    pub(crate) fn new(wait: Duration) -> Self {
        Self { deadline: Instant::now() + wait, sleep: None }
    }

    /// Moves the deadline to `wait` from now. A shorter wait than the last takes effect too.
    pub(crate) fn restart(&mut self, wait: Duration) {
        self.deadline = Instant::now() + wait;
        if let Some(sleep) = &mut self.sleep
            && sleep.deadline() > self.deadline
        {
            sleep.as_mut().reset(self.deadline);
        }
    }

    /// Ready once the deadline is past.
    pub(crate) fn poll_expired(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let deadline = self.deadline;
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        while sleep.as_mut().poll(context).is_ready() {
            if Instant::now() >= self.deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(self.deadline);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    #[tokio::test(start_paused = true)]
    async fn fires_only_after_the_last_restart() {
        let start = Instant::now();
        let mut timer = IdleTimer::new(Duration::from_secs(10));
        for _ in 0..3 {
            let early =
                tokio::time::timeout(Duration::from_secs(6), poll_fn(|cx| timer.poll_expired(cx))).await;
            assert!(early.is_err());
            timer.restart(Duration::from_secs(10));
        }
        poll_fn(|cx| timer.poll_expired(cx)).await;
        assert_eq!(start.elapsed().as_secs(), 28);
        timer.restart(Duration::from_secs(1));
        poll_fn(|cx| timer.poll_expired(cx)).await;
        assert_eq!(start.elapsed().as_secs(), 29);
    }
}
