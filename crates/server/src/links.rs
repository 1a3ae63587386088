//! Heroku's links that this server does not have, each with the reason. A request to one of them is answered 501 in these words;
//! the page `docs/reference/api-coverage.md` is made from this list and the route table, and a test holds both against Heroku's
//! published schema: every link of it is either a route or in exactly one group here.

use crate::table::fits;

/// What is to be expected of a link that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Not yet.
    Later,
    /// Not at all.
    OutOfScope,
}

/// Links that are absent for one reason.
#[derive(Debug, Clone, Copy)]
pub struct Group {
    /// A plural noun, to go before "are".
    pub what: &'static str,
    pub verdict: Verdict,
    /// A clause without its full stop.
    pub why: &'static str,
    /// `METHOD /path/{}`
    pub links: &'static [&'static str],
}

impl Group {
    /// For the person who asked.
    pub fn message(&self) -> String {
        match self.verdict {
            Verdict::Later => format!("{} are not available on this server yet: {}.", self.what, self.why),
            Verdict::OutOfScope => format!("{} are not part of Dozen: {}.", self.what, self.why),
        }
    }
}

/// The group of a request to a link that is not there.
pub fn absent(method: &str, path: &str) -> Option<&'static Group> {
    ABSENT.iter().find(|group| group.links.iter().any(|link| is_of(link, method, path)))
}

fn is_of(link: &str, method: &str, path: &str) -> bool {
    link.split_once(' ').is_some_and(|(wanted, pattern)| wanted == method && fits(pattern, path))
}

/// All of them.
pub const ABSENT: &[Group] = &[
    Group {
        what: "Add-ons",
        verdict: Verdict::Later,
        why: "backing services are attached by config vars until this server manages them",
        links: &[
            "GET /addons/{}",
            "POST /apps/{}/addons",
            "DELETE /apps/{}/addons/{}",
            "GET /apps/{}/addons/{}",
            "PATCH /apps/{}/addons/{}",
            "GET /users/{}/addons",
            "POST /actions/addons/resolve",
            "POST /addons/{}/actions/provision",
            "POST /addons/{}/actions/deprovision",
            "POST /addon-attachments",
            "DELETE /addon-attachments/{}",
            "GET /addon-attachments/{}",
            "GET /addons/{}/addon-attachments",
            "GET /apps/{}/addon-attachments/{}",
            "POST /actions/addon-attachments/resolve",
            "GET /addons/{}/config",
            "PATCH /addons/{}/config",
            "GET /addon-region-capabilities",
            "GET /addon-services/{}/region-capabilities",
            "GET /regions/{}/addon-region-capabilities",
            "GET /addon-services/{}",
            "POST /addons/{}/webhooks",
            "DELETE /addons/{}/webhooks/{}",
            "GET /addons/{}/webhooks/{}",
            "GET /addons/{}/webhooks",
            "PATCH /addons/{}/webhooks/{}",
            "GET /addons/{}/webhook-deliveries/{}",
            "GET /addons/{}/webhook-deliveries",
            "GET /addons/{}/webhook-events/{}",
            "GET /addons/{}/webhook-events",
            "GET /plans/{}",
            "GET /addon-services/{}/plans/{}",
            "GET /addon-services/{}/plans",
        ],
    },
    Group {
        what: "Certificates",
        verdict: Verdict::Later,
        why: "this server does not manage certificates of domains yet",
        links: &[
            "POST /apps/{}/acm",
            "DELETE /apps/{}/acm",
            "PATCH /apps/{}/acm",
            "POST /apps/{}/sni-endpoints",
            "DELETE /apps/{}/sni-endpoints/{}",
            "GET /apps/{}/sni-endpoints/{}",
            "PATCH /apps/{}/sni-endpoints/{}",
        ],
    },
    Group {
        what: "Build caches",
        verdict: Verdict::Later,
        why: "a build empties its cache by itself when it cannot be trusted",
        links: &["DELETE /apps/{}/build-cache"],
    },
    Group {
        what: "Log drains",
        verdict: Verdict::Later,
        why: "logs are read with log sessions",
        links: &[
            "POST /apps/{}/log-drains",
            "PUT /addons/{}/log-drains/{}",
            "DELETE /apps/{}/log-drains/{}",
            "GET /apps/{}/log-drains/{}",
            "GET /addons/{}/log-drains",
            "POST /telemetry-drains",
            "PATCH /telemetry-drains/{}",
            "DELETE /telemetry-drains/{}",
            "GET /telemetry-drains/{}",
        ],
    },
    Group {
        what: "Webhooks",
        verdict: Verdict::Later,
        why: "what happened is told by nobody yet but the log of the app",
        links: &[
            "POST /apps/{}/webhooks",
            "DELETE /apps/{}/webhooks/{}",
            "GET /apps/{}/webhooks/{}",
            "PATCH /apps/{}/webhooks/{}",
            "GET /apps/{}/webhook-deliveries/{}",
            "GET /apps/{}/webhook-deliveries",
            "GET /apps/{}/webhook-events/{}",
            "GET /apps/{}/webhook-events",
        ],
    },
    Group {
        what: "Slugs and images",
        verdict: Verdict::Later,
        why: "releases are made by pushes, config changes and rollbacks",
        links: &[
            "GET /apps/{}/oci-images/{}",
            "POST /apps/{}/oci-images",
            "GET /apps/{}/slugs/{}",
            "POST /apps/{}/slugs",
        ],
    },
    Group {
        what: "Pipelines",
        verdict: Verdict::Later,
        why: "each app is deployed on its own",
        links: &[
            "POST /filters/apps",
            "POST /pipelines",
            "GET /pipelines/{}",
            "DELETE /pipelines/{}",
            "PATCH /pipelines/{}",
            "GET /pipelines/{}/latest-builds",
            "GET /pipelines/{}/stage/{}/config-vars",
            "PATCH /pipelines/{}/stage/{}/config-vars",
            "GET /pipelines/{}/pipeline-couplings",
            "GET /users/~/pipeline-couplings",
            "GET /pipeline-couplings",
            "POST /pipeline-couplings",
            "GET /pipeline-couplings/{}",
            "DELETE /pipeline-couplings/{}",
            "PATCH /pipeline-couplings/{}",
            "GET /pipelines/{}/latest-deployments",
            "POST /pipeline-promotions",
            "GET /pipeline-promotions/{}",
            "GET /pipeline-promotions/{}/promotion-targets",
            "GET /pipelines/{}/latest-releases",
            "GET /pipelines/{}/pipeline-stack",
            "POST /pipeline-transfers",
        ],
    },
    Group {
        what: "Review apps and app setups",
        verdict: Verdict::Later,
        why: "they come with pipelines",
        links: &[
            "POST /app-setups",
            "GET /app-setups/{}",
            "POST /review-apps",
            "GET /review-apps/{}",
            "DELETE /review-apps/{}",
            "GET /apps/{}/review-app",
            "GET /pipelines/{}/review-apps",
            "POST /pipelines/{}/review-app-config",
            "GET /pipelines/{}/review-app-config",
            "PATCH /pipelines/{}/review-app-config",
            "DELETE /pipelines/{}/review-app-config",
        ],
    },
    Group {
        what: "App transfers",
        verdict: Verdict::Later,
        why: "an app stays with its owner; share it with collaborators",
        links: &[
            "POST /account/app-transfers",
            "DELETE /account/app-transfers/{}",
            "GET /account/app-transfers/{}",
            "GET /account/app-transfers",
            "PATCH /account/app-transfers/{}",
        ],
    },
    Group {
        what: "Changes of accounts",
        verdict: Verdict::Later,
        why: "accounts are made and changed by the administrator of the server",
        links: &["PATCH /account", "DELETE /account", "PATCH /users/{}", "DELETE /users/{}"],
    },
    Group {
        what: "Programs that log in for others",
        verdict: Verdict::Later,
        why: "make an access token for each program",
        links: &[
            "POST /oauth/clients",
            "DELETE /oauth/clients/{}",
            "GET /oauth/clients/{}",
            "PATCH /oauth/clients/{}",
            "POST /oauth/clients/{}/actions/rotate-credentials",
            "POST /oauth/tokens",
            "DELETE /oauth/tokens/{}",
        ],
    },
    Group {
        what: "Passwords",
        verdict: Verdict::OutOfScope,
        why: "accounts have access tokens and no passwords",
        links: &["POST /password-resets", "POST /password-resets/{}/actions/finalize"],
    },
    Group {
        what: "Billing links",
        verdict: Verdict::OutOfScope,
        why: "Dozen bills nobody",
        links: &[
            "GET /account/delinquency",
            "POST /account/credits",
            "GET /account/credits/{}",
            "GET /account/credits",
            "GET /account/invoices/{}",
            "GET /account/invoices",
            "GET /account/invoice-address",
            "PUT /account/invoice-address",
        ],
    },
    Group {
        what: "Teams",
        verdict: Verdict::OutOfScope,
        why: "access is granted per app, to collaborators with roles",
        links: &[
            "GET /teams/{}/addons",
            "GET /teams/{}/allowed-addon-services",
            "POST /teams/{}/allowed-addon-services",
            "DELETE /teams/{}/allowed-addon-services/{}",
            "GET /teams/{}/available-generations",
            "GET /teams/{}/identity-providers",
            "POST /teams/{}/identity-providers",
            "PATCH /teams/{}/identity-providers/{}",
            "DELETE /teams/{}/identity-providers/{}",
            "GET /teams/{}/permissions",
            "GET /teams/{}/pipeline-couplings",
            "GET /teams/{}",
            "PATCH /teams/{}",
            "POST /teams",
            "DELETE /teams/{}",
            "POST /teams/apps",
            "GET /teams/apps/{}",
            "PATCH /teams/apps/{}",
            "GET /teams/{}/apps",
            "POST /teams/apps/{}/collaborators",
            "DELETE /teams/apps/{}/collaborators/{}",
            "GET /teams/apps/{}/collaborators/{}",
            "PATCH /teams/apps/{}/collaborators/{}",
            "GET /teams/apps/{}/collaborators",
            "GET /teams/permissions",
            "GET /teams/{}/usage/daily",
            "GET /teams/{}/delinquency",
            "GET /teams/{}/features/{}",
            "GET /teams/{}/features",
            "GET /teams/{}/invitations",
            "PUT /teams/{}/invitations",
            "DELETE /teams/{}/invitations/{}",
            "GET /teams/invitations/{}",
            "POST /teams/invitations/{}/accept",
            "GET /teams/{}/invoices/{}",
            "GET /teams/{}/invoices",
            "PUT /teams/{}/members",
            "POST /teams/{}/members",
            "PATCH /teams/{}/members",
            "DELETE /teams/{}/members/{}",
            "GET /teams/{}/members",
            "GET /teams/{}/members/{}/apps",
            "GET /teams/{}/usage/monthly",
            "GET /teams/{}/preferences",
            "PATCH /teams/{}/preferences",
            "GET /teams/{}/spaces",
        ],
    },
    Group {
        what: "Enterprise accounts",
        verdict: Verdict::OutOfScope,
        why: "a server belongs to one organisation",
        links: &[
            "GET /enterprise-accounts/{}/archives/{}/{}",
            "GET /enterprise-accounts/{}/archives",
            "GET /enterprise-accounts/{}/events",
            "GET /enterprise-accounts",
            "GET /enterprise-accounts/{}",
            "PATCH /enterprise-accounts/{}",
            "GET /enterprise-accounts/{}/usage/daily",
            "GET /enterprise-accounts/{}/members",
            "POST /enterprise-accounts/{}/members",
            "PATCH /enterprise-accounts/{}/members/{}",
            "DELETE /enterprise-accounts/{}/members/{}",
            "GET /enterprise-accounts/{}/usage/monthly",
            "GET /enterprise-accounts/{}/teams",
            "POST /enterprise-accounts/{}/teams",
        ],
    },
    Group {
        what: "Private spaces",
        verdict: Verdict::OutOfScope,
        why: "a server is a network of its own",
        links: &[
            "GET /spaces/{}/inbound-ruleset",
            "GET /spaces/{}/inbound-rulesets/{}",
            "GET /spaces/{}/inbound-rulesets",
            "PUT /spaces/{}/inbound-ruleset",
            "GET /spaces/{}/peerings",
            "POST /spaces/{}/peerings/{}/actions/accept",
            "DELETE /spaces/{}/peerings/{}",
            "GET /spaces/{}/peerings/{}",
            "GET /spaces/{}/peering-info",
            "GET /spaces/{}",
            "PATCH /spaces/{}",
            "DELETE /spaces/{}",
            "POST /spaces",
            "GET /spaces/{}/members/{}",
            "PATCH /spaces/{}/members/{}",
            "GET /spaces/{}/members",
            "GET /spaces/{}/nat",
            "GET /spaces/{}/topology",
            "POST /spaces/{}/transfer",
            "GET /spaces/{}/telemetry-drains",
            "POST /spaces/{}/vpn-connections",
            "DELETE /spaces/{}/vpn-connections/{}",
            "GET /spaces/{}/vpn-connections",
            "GET /spaces/{}/vpn-connections/{}",
            "PATCH /spaces/{}/vpn-connections/{}",
        ],
    },
    Group {
        what: "Test runs",
        verdict: Verdict::OutOfScope,
        why: "tests run where the code is hosted",
        links: &[
            "GET /test-runs/{}/test-cases",
            "GET /test-runs/{}/test-nodes",
            "POST /test-runs",
            "GET /test-runs/{}",
            "GET /pipelines/{}/test-runs",
            "GET /pipelines/{}/test-runs/{}",
            "PATCH /test-runs/{}",
        ],
    },
    Group {
        what: "Settings of Heroku's dashboard",
        verdict: Verdict::OutOfScope,
        why: "they mean nothing outside of it",
        links: &[
            "GET /users/{}/sms-number",
            "POST /users/{}/sms-number/actions/recover",
            "POST /users/{}/sms-number/actions/confirm",
            "GET /users/{}/preferences",
            "PATCH /users/{}/preferences",
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_links_say_why() {
        let told = |method: &str, path: &str| absent(method, path).map(Group::message);
        assert_eq!(
            told("POST", "/apps/hello/slugs").as_deref(),
            Some(
                "Slugs and images are not available on this server yet: releases are made by pushes, config changes and \
                 rollbacks."
            )
        );
        assert_eq!(
            told("GET", "/account/invoices").as_deref(),
            Some("Billing links are not part of Dozen: Dozen bills nobody.")
        );
        assert_eq!(told("GET", "/wp-login.php"), None);
        assert_eq!(told("GET", "/apps/hello"), None);
    }
}
