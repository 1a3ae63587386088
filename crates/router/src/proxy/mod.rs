//! One client connection, request by request: accept -> table -> balance -> process -> access line.
//!
//! This is the one place that knows the HTTP library. [`route`] finds a connection, [`mod@exchange`] sends over it, [`upload`] and
//! [`download`] are the bodies, [`tunnel`] is what follows an upgrade, [`head`] is what we change in heads.

pub(crate) mod download;
mod exchange;
mod head;
mod route;
mod tunnel;
pub(crate) mod upload;

use crate::access_log::line::Line;
use crate::access_log::record::Record;
use crate::client_io::ClientIo;
use crate::codes::{Code, RequestFault};
use crate::connection::{Connection, UpgradeAnswer, Verdict};
use crate::pages::{self, Page};
use crate::strict::{Framing, HEAD_BYTES, HEADERS, HeadFacts, Refusal};
use crate::table::Upstream;
use crate::worker::{Slot, Worker};
use download::{Answer, Download, Exchange};
use exchange::{Failure, Fate, exchange};
use head::{Added, Origin};
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode, request};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use route::{NoRoute, Route, Search, Source, Wanted};
use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::net::TcpStream;
use tunnel::Tunnel;
use upload::{Expects, Progress, Upload};

/// A request is sent this often at most, retries included.
const SENDS: usize = 3;

/// One client connection.
#[derive(Debug)]
pub(crate) struct Client {
    pub worker: Rc<Worker>,
    connection: Arc<Connection>,
    origin: Origin,
    /// The connection's place among the thread's; a tunnel holds it on.
    _slot: Slot,
}

/// Serves a connection to its end.
pub(crate) async fn serve(worker: Rc<Worker>, stream: TcpStream, slot: Slot) {
    let (Ok(peer), Ok(local)) = (stream.peer_addr(), stream.local_addr()) else { return };
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let connection = Arc::new(Connection::default());
    let io = ClientIo::new(stream, Arc::clone(&connection), Arc::clone(&worker.shared.timeouts));
    let origin = Origin { peer: peer.ip().to_canonical(), port: local.port() };
    let shared = Arc::clone(&worker.shared);
    let client = Rc::new(Client { worker, connection, origin, _slot: slot });
    let service = service_fn(move |request| {
        let client = Rc::clone(&client);
        async move { Ok::<_, Infallible>(client.answer(request).await) }
    });
    let mut builder = http1::Builder::new();
    builder.max_headers(HEADERS).max_buf_size(HEAD_BYTES * 2).title_case_headers(true);
    let mut driver = std::pin::pin!(builder.serve_connection(io, service).with_upgrades());
    // A connection that breaks has left its lines in the access log; there is nothing more to say.
    tokio::select! {
        _ = driver.as_mut() => {}
        () = shared.stopping() => {
            driver.as_mut().graceful_shutdown();
            driver.await.ok();
        }
    }
}

impl Client {
    async fn answer(self: Rc<Self>, request: Request<Incoming>) -> Response<Answer> {
        match self.connection.pop() {
            Some(Verdict::Accepted(facts)) => {
                let asks_upgrade = facts.upgrade.is_some();
                let response = Rc::clone(&self).forward(request, facts).await;
                if asks_upgrade && response.status() != StatusCode::SWITCHING_PROTOCOLS {
                    self.connection.answer_upgrade(UpgradeAnswer::StayHttp);
                }
                response
            }
            Some(Verdict::Refused(refusal)) => self.refuse(&refusal),
            // Every head that the library sees has passed the check; one without a verdict must not get further.
            None => close_after(render(pages::of_code(Code::H26(RequestFault::BadRequestLine)))),
        }
    }

    fn refuse(self: &Rc<Self>, refusal: &Refusal) -> Response<Answer> {
        let code = Code::H26(refusal.fault);
        let about = refusal.about.clone();
        let line = about.map_or_else(Line::default, |about| Line {
            method: about.method,
            path: about.path,
            host: about.host,
            request_id: self.worker.random.borrow_mut().request_id(),
            forwarded_for: self.origin.peer.to_string(),
            ..Line::default()
        });
        let mut record = Record::new(Rc::clone(&self.worker), Arc::clone(&self.connection), line);
        if let Some(app) = self.worker.shared.table.load().find(record.host()) {
            record.set_app(app.id);
        }
        record.fail(code);
        close_after(render(pages::of_code(code)))
    }

    fn record(self: &Rc<Self>, parts: &request::Parts, facts: &HeadFacts) -> (Record, String) {
        let forwarded_for = head::forwarded_for(&parts.headers, self.origin.peer);
        let given = head::given_request_id(&parts.headers).map(str::to_owned);
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let line = Line {
            method: parts.method.as_str().to_owned(),
            path: path.to_owned(),
            host: facts.host.clone(),
            request_id: given.unwrap_or_else(|| self.worker.random.borrow_mut().request_id()),
            forwarded_for: forwarded_for.replace(' ', ""),
            ..Line::default()
        };
        (Record::new(Rc::clone(&self.worker), Arc::clone(&self.connection), line), forwarded_for)
    }

    async fn forward(self: Rc<Self>, request: Request<Incoming>, facts: HeadFacts) -> Response<Answer> {
        let (mut parts, body) = request.into_parts();
        let (mut record, forwarded_for) = self.record(&parts, &facts);
        let to_client = facts.upgrade.as_ref().and_then(|_| parts.extensions.remove::<OnUpgrade>());
        let added = Added {
            origin: self.origin,
            forwarded_for: &forwarded_for,
            request_id: record.request_id(),
            start_millis: unix_millis(),
            is_bodyless: body.is_end_stream(),
        };
        head::rewrite_request(&mut parts, &facts, &added);
        let expects = parts.headers.contains_key(http::header::EXPECT);
        let expects = if expects { Expects::Continue } else { Expects::Nothing };
        let (upload, progress) = Upload::new(body, Arc::clone(&self.connection), expects);
        let sending = Sending { client: &self, progress: &progress, parts, upload, framing: facts.framing };
        match sending.run(&mut record).await {
            Ok((response, route)) => self.pass(response, Held { route, record, progress, to_client }),
            Err(NoRoute::UnknownHost) => {
                record.complete();
                render(pages::no_such_app())
            }
            Err(NoRoute::Code(code)) => {
                record.fail(code);
                let page = render(pages::of_code(code));
                if progress.is_sent() { page } else { close_after(page) }
            }
        }
    }

    fn pass(self: Rc<Self>, response: Response<Incoming>, held: Held) -> Response<Answer> {
        let Held { route, mut record, progress, to_client } = held;
        record.set_status(response.status().as_u16());
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return self.switch(response, route, record, to_client);
        }
        let (mut parts, body) = response.into_parts();
        head::rewrite_response(&mut parts);
        let Route { upstream, permit, link, .. } = route;
        let worker = Rc::clone(&self.worker);
        let exchange = Exchange { worker, record, upstream, link, permit, progress };
        Response::from_parts(parts, Answer::Process(Box::new(Download::new(body, exchange))))
    }

    fn switch(
        self: Rc<Self>,
        mut response: Response<Incoming>,
        route: Route,
        record: Record,
        to_client: Option<OnUpgrade>,
    ) -> Response<Answer> {
        let Some(to_client) = to_client else {
            // Nobody asked for it.
            record.fail(Code::H17);
            return close_after(render(pages::of_code(Code::H17)));
        };
        let to_process = hyper::upgrade::on(&mut response);
        let (mut parts, _) = response.into_parts();
        head::rewrite_switch(&mut parts);
        self.connection.answer_upgrade(UpgradeAnswer::Tunnel);
        let worker = Rc::clone(&self.worker);
        let tunnel = Tunnel { client: self, record, permit: route.permit, to_client, to_process };
        worker.tracker.spawn_local(tunnel.run());
        Response::from_parts(parts, Answer::Page(None))
    }
}

/// What a request holds between its sending and its answer.
struct Held {
    route: Route,
    record: Record,
    progress: Rc<Progress>,
    to_client: Option<OnUpgrade>,
}

/// A request on its way to some process.
struct Sending<'a> {
    client: &'a Client,
    progress: &'a Rc<Progress>,
    parts: request::Parts,
    upload: Upload,
    framing: Framing,
}

impl Sending<'_> {
    /// Sends until there is a response or no sense in sending again.
    async fn run(self, record: &mut Record) -> Result<(Response<Incoming>, Route), NoRoute> {
        let Self { client, progress, parts, upload, framing } = self;
        let (worker, connection) = (&client.worker, &client.connection);
        let timeouts = &worker.shared.timeouts;
        let repeatable = framing == Framing::Length(0) && is_idempotent(&parts.method);
        let mut wanted = if repeatable { Wanted::Kept } else { Wanted::KeptAndOpen };
        let mut search = Search::new(worker);
        let mut request = Request::from_parts(parts, upload);
        let mut sends = 0;
        loop {
            sends += 1;
            let mut route = search.find(record, wanted).await?;
            record.set_connected();
            request.body_mut().permit = Some(Rc::clone(&route.permit));
            let spare = (repeatable && route.source == Source::Pool).then(|| spare_of(&request));
            let failure = match exchange(&mut route.link, request, progress, connection, timeouts).await {
                Ok(response) => return Ok((response, route)),
                Err(failure) => failure,
            };
            let code = failure.code;
            let again = again(failure, spare, progress).filter(|_| sends < SENDS);
            request = again.ok_or(NoRoute::Code(code))?;
            note_closed(&mut search, &route);
            wanted = Wanted::New;
        }
    }
}

/// A new connection that closed before it took a byte says something about its process; a kept one does not.
fn note_closed(search: &mut Search<'_>, route: &Route) {
    let upstream: &Upstream = &route.upstream;
    match route.source {
        Source::New => search.avoid(upstream),
        Source::Pool => {}
    }
}

/// The request to send again, if that is safe: no byte of it was sent; or it is one that may be repeated, it went to a kept connection
/// and nothing came back, as happens when the process closes a connection that it thinks idle.
fn again(
    failure: Failure,
    spare: Option<request::Parts>,
    progress: &Rc<Progress>,
) -> Option<Request<Upload>> {
    match (failure.fate, spare) {
        (Fate::Unsent(request), _) => Some(*request),
        (Fate::Unanswered, Some(parts)) if failure.code == Code::H13 => {
            Some(Request::from_parts(parts, Upload::empty(Rc::clone(progress))))
        }
        (Fate::Unanswered | Fate::Over, _) => None,
    }
}

fn spare_of(request: &Request<Upload>) -> request::Parts {
    let mut spare = Request::new(());
    spare.method_mut().clone_from(request.method());
    spare.uri_mut().clone_from(request.uri());
    spare.headers_mut().clone_from(request.headers());
    spare.into_parts().0
}

/// RFC 9110 section 9.2.2.
fn is_idempotent(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS, Method::PUT, Method::DELETE, Method::TRACE].contains(method)
}

fn render(page: Page) -> Response<Answer> {
    let mut response = Response::new(Answer::Page(Some(page.body)));
    *response.status_mut() = page.status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store"));
    response
}

fn close_after(mut response: Response<Answer>) -> Response<Answer> {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

fn unix_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
