//! What every handler shares: who asks, what they sent, where they think we are, how we refuse.

pub mod auth;
pub mod call;
pub mod error;
pub mod notice;
pub mod origin;
pub mod request_id;

use error::Refusal;

/// Runs an operation, which may wait for the disk, off the event loop.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, engine::Error> + Send + 'static,
) -> Result<T, Refusal> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(Refusal::from),
        Err(panicked) => {
            tracing::error!(error = %panicked, "an operation ended by a panic");
            Err(Refusal::internal())
        }
    }
}
