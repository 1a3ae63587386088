//! What this server does not have: 501 for what Heroku's API has and we do not yet, 404 for the rest.

use crate::http::call::Caller;
use crate::http::error::Refusal;
use api::error::ErrorId;
use http::{Method, Uri};

/// First segments of Heroku's API.
const NOUNS: &[&str] = &[
    "account",
    "actions",
    "addon-attachments",
    "addon-region-capabilities",
    "addon-services",
    "addons",
    "app-setups",
    "app-transfers",
    "dyno-sizes",
    "enterprise-accounts",
    "filters",
    "generations",
    "invoices",
    "keys",
    "oauth",
    "organizations",
    "password-resets",
    "pipeline-couplings",
    "pipeline-promotions",
    "pipeline-transfers",
    "pipelines",
    "plans",
    "regions",
    "review-apps",
    "schema",
    "sources",
    "spaces",
    "stacks",
    "teams",
    "telemetry-drains",
    "test-runs",
    "users",
];

/// Third segments below `/apps/:app`.
const NOUNS_OF_APP: &[&str] = &[
    "acm",
    "addon-attachments",
    "addons",
    "available-dyno-sizes",
    "available-stacks",
    "build-cache",
    "buildpack-installations",
    "builds",
    "collaborators",
    "config-vars",
    "domains",
    "dynos",
    "features",
    "formation",
    "formations",
    "log-drains",
    "log-sessions",
    "oci-images",
    "pipeline-couplings",
    "pre-authorizations",
    "releases",
    "review-app",
    "slugs",
    "sni-endpoints",
    "sources",
    "telemetry-drains",
    "webhook-deliveries",
    "webhook-events",
    "webhooks",
];

/// No route has this path. Asked without a token, it is not said what there is.
pub async fn route(method: Method, uri: Uri, _caller: Caller) -> Refusal {
    match known_noun(uri.path()) {
        Some(noun) => Refusal::not_implemented(&format!("{method} on {noun} here")),
        None => Refusal::not_found("route", "The requested API endpoint was not found."),
    }
}

/// The path has routes, but none for this method.
pub async fn method(method: Method, uri: Uri, _caller: Caller) -> Refusal {
    match known_noun(uri.path()) {
        Some(noun) => Refusal::not_implemented(&format!("{method} on {noun} here")),
        None => Refusal::new(ErrorId::MethodNotAllowed, format!("{method} is not allowed here.")),
    }
}

fn known_noun(path: &str) -> Option<&'static str> {
    let mut segments = path.trim_matches('/').split('/');
    let (first, third) = (segments.next()?, segments.nth(1));
    match (first, third) {
        ("apps", Some(noun)) => NOUNS_OF_APP.iter().copied().find(|known| *known == noun),
        ("apps", None) => Some("apps"),
        (noun, _) => NOUNS.iter().copied().find(|known| *known == noun),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_what_heroku_has() {
        for (path, expected) in [
            ("/apps/x/slugs", Some("slugs")),
            ("/apps/x/nonsense", None),
            ("/apps/x", Some("apps")),
            ("/pipelines/x/y", Some("pipelines")),
            ("/", None),
            ("/wp-login.php", None),
        ] {
            assert_eq!(known_noun(path), expected, "{path}");
        }
    }
}
