//! One file from an address, hop by hop.

use crate::Outbound;
use crate::resolve::Forbidden;
use crate::url::{BadUrl, Url};
use std::io::{self, Read, Write};
use std::time::{Duration, Instant};
use ureq::Body;
use ureq::http::{Response, header};

const REDIRECTS: usize = 5;
const PIECE: usize = 64 * 1024;

/// Bounds of one download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DownloadLimits {
    pub bytes: u64,
    /// From the first look-up of a name to the last byte, redirects included.
    pub time: Duration,
}

/// Why there is nothing. Addresses are shown by their hosts alone.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    #[error(transparent)]
    Url(#[from] BadUrl),
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    #[error("{url} redirects to an address that is not followed: {source}")]
    Redirect { url: Url, source: BadUrl },
    #[error("{url} redirects to nowhere")]
    NoLocation { url: Url },
    #[error("there are more than {REDIRECTS} redirects, the last one from {url}")]
    TooManyRedirects { url: Url },
    #[error("{url} answered {status}")]
    Status { url: Url, status: u16 },
    #[error("{url} gives more than {limit} bytes")]
    TooLarge { url: Url, limit: u64 },
    #[error("{url} did not give all of it within {} s", limit.as_secs())]
    TooSlow { url: Url, limit: Duration },
    #[error("{url} cannot be asked")]
    Transport { url: Url, source: Box<ureq::Error> },
    #[error("the connection to {url} broke")]
    Broken { url: Url, source: io::Error },
    /// Ours, not theirs.
    #[error("storing what came")]
    Store(#[source] io::Error),
}

impl Outbound {
    /// Writes what `url` gives into `into` and tells how many bytes it was. Blocks; ends within the limits.
    pub fn download(
        &self,
        url: &str,
        limits: &DownloadLimits,
        into: &mut dyn Write,
    ) -> Result<u64, DownloadError> {
        let end = Instant::now() + limits.time;
        let mut url: Url = url.parse()?;
        for _ in 0..=REDIRECTS {
            let left = end.saturating_duration_since(Instant::now());
            let answer = self.ask(&url, left, limits)?;
            match answer.status().as_u16() {
                200 => return copy(url, answer, limits, end, into),
                301 | 302 | 303 | 307 | 308 => url = next(&url, &answer)?,
                status => return Err(DownloadError::Status { url, status }),
            }
        }
        Err(DownloadError::TooManyRedirects { url })
    }

    fn ask(
        &self,
        url: &Url,
        left: Duration,
        limits: &DownloadLimits,
    ) -> Result<Response<Body>, DownloadError> {
        if left.is_zero() {
            return Err(DownloadError::TooSlow { url: url.clone(), limit: limits.time });
        }
        let request = self.agent(left).get(url.expose()).header(header::ACCEPT, "*/*");
        request.call().map_err(|error| explained(url, limits, error))
    }
}

fn explained(url: &Url, limits: &DownloadLimits, error: ureq::Error) -> DownloadError {
    match error {
        ureq::Error::Timeout(_) => DownloadError::TooSlow { url: url.clone(), limit: limits.time },
        ureq::Error::Other(other) => match other.downcast::<Forbidden>() {
            Ok(forbidden) => DownloadError::Forbidden(*forbidden),
            Err(other) => {
                DownloadError::Transport { url: url.clone(), source: Box::new(ureq::Error::Other(other)) }
            }
        },
        error => DownloadError::Transport { url: url.clone(), source: Box::new(error) },
    }
}

fn next(url: &Url, answer: &Response<Body>) -> Result<Url, DownloadError> {
    let location = answer.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
    let location = location.ok_or_else(|| DownloadError::NoLocation { url: url.clone() })?;
    url.redirected(location).map_err(|source| DownloadError::Redirect { url: url.clone(), source })
}

fn copy(
    url: Url,
    answer: Response<Body>,
    limits: &DownloadLimits,
    end: Instant,
    into: &mut dyn Write,
) -> Result<u64, DownloadError> {
    let too_large = |url: &Url| DownloadError::TooLarge { url: url.clone(), limit: limits.bytes };
    if answer.body().content_length().is_some_and(|length| length > limits.bytes) {
        return Err(too_large(&url));
    }
    let mut body = answer.into_body().into_reader();
    let (mut piece, mut total) = (vec![0; PIECE], 0);
    loop {
        let count = match body.read(&mut piece) {
            Ok(0) => return Ok(total),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                return Err(DownloadError::TooSlow { url, limit: limits.time });
            }
            Err(source) => return Err(DownloadError::Broken { url, source }),
        };
        total += count as u64;
        if total > limits.bytes {
            return Err(too_large(&url));
        }
        if Instant::now() > end {
            return Err(DownloadError::TooSlow { url, limit: limits.time });
        }
        into.write_all(&piece[..count]).map_err(DownloadError::Store)?;
    }
}
