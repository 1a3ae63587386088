//! What this server does not have: 501 with the reason for a link of Heroku's API, 405 for another method of a path that is
//! there, 404 for the rest.

use crate::http::call::Caller;
use crate::http::error::Refusal;
use crate::links::absent;
use api::error::ErrorId;
use http::{Method, Uri};

/// No route has this path. Asked without a token, it is not said what there is.
pub async fn route(method: Method, uri: Uri, _caller: Caller) -> Refusal {
    let unknown = || Refusal::not_found("route", "The requested API endpoint was not found.");
    known(&method, &uri).unwrap_or_else(unknown)
}

/// The path has routes, but none for this method.
pub async fn method(method: Method, uri: Uri, _caller: Caller) -> Refusal {
    let unknown = || Refusal::new(ErrorId::MethodNotAllowed, format!("{method} is not allowed here."));
    known(&method, &uri).unwrap_or_else(unknown)
}

fn known(method: &Method, uri: &Uri) -> Option<Refusal> {
    absent(method.as_str(), uri.path()).map(|group| Refusal::not_implemented(&group.message()))
}
