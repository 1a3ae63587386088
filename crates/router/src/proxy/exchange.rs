//! Sends a request over a connection and waits for the head of its response. Says of a failure what may still be done about it.

use crate::codes::{Code, Restriction};
use crate::connection::Connection;
use crate::pool::Link;
use crate::proxy::head::render_interim;
use crate::proxy::upload::{Progress, Upload};
use crate::settings::Timeouts;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use std::sync::Arc;

/// A request that got no response.
#[derive(Debug)]
pub(crate) struct Failure {
    pub code: Code,
    pub fate: Fate,
}

/// What happened to the request.
#[derive(Debug)]
pub(crate) enum Fate {
    /// Not a byte of it was sent, and here it is again.
    Unsent(Box<Request<Upload>>),
    /// It may have been sent, in part or whole, and not a byte came back.
    Unanswered,
    /// It must not be sent again.
    Over,
}

/// Sends `request`, and waits for a final response no longer than `timeouts` allow.
pub(crate) async fn exchange(
    link: &mut Link,
    mut request: Request<Upload>,
    progress: &Progress,
    connection: &Arc<Connection>,
    timeouts: &Timeouts,
) -> Result<Response<Incoming>, Failure> {
    pass_interim(&mut request, progress, connection);
    let (sent, received) = (link.meter.sent(), link.meter.received());
    link.meter.begin();
    let result = tokio::select! {
        biased;
        result = link.sender.try_send_request(request) => result,
        code = progress.expire(timeouts) => return Err(Failure { code, fate: Fate::Over }),
    };
    let mut error = match result {
        Ok(response) => return Ok(response),
        Err(error) => error,
    };
    let request = error.take_message();
    let (was_sent, was_answered) = (link.meter.sent() != sent, link.meter.received() != received);
    if let Some(fault) = progress.fault() {
        return Err(Failure { code: fault.code(), fate: Fate::Over });
    }
    let code = code_of(error.error(), was_answered);
    let fate = match request {
        Some(request) if !was_sent => Fate::Unsent(Box::new(request)),
        _ if was_answered => Fate::Over,
        _ => Fate::Unanswered,
    };
    Err(Failure { code, fate })
}

/// 100 opens the gate of the body, upon which the library tells the client; others go to the client as they are.
fn pass_interim(request: &mut Request<Upload>, progress: &Progress, connection: &Arc<Connection>) {
    let (gate, connection) = (Arc::clone(progress.gate()), Arc::clone(connection));
    hyper::ext::on_informational(request, move |response| {
        if response.status() == StatusCode::CONTINUE {
            gate.open();
        } else {
            connection.push_interim(&render_interim(response.status(), response.headers()));
        }
    });
}

fn code_of(error: &hyper::Error, was_answered: bool) -> Code {
    if error.is_parse_too_large() {
        Code::H25(Restriction::OversizedHeader)
    } else if error.is_parse() {
        // The library does not tell its parse errors apart in any other way.
        if error.to_string().contains("content-length") {
            Code::H25(Restriction::InvalidContentLength)
        } else {
            Code::H17
        }
    } else if was_answered {
        Code::H18
    } else {
        Code::H13
    }
}
