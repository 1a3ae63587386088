//! `/apps/:app/domains`: the host names of an app.

use crate::Timestamp;
use crate::reference::{AppReference, Identity, NamedReference};
use domain::ids::DomainId;
use domain::names::HostName;
use serde::{Deserialize, Serialize};

/// The answer to `POST` and `GET|PATCH|DELETE /apps/:app/domains/:hostname`; the item of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Domain {
    /// Null: no certificate is managed for it.
    pub acm_status: Option<String>,
    pub acm_status_reason: Option<String>,
    pub app: AppReference,
    /// Where its DNS record should point; null for the app's own name.
    pub cname: Option<String>,
    pub created_at: Timestamp,
    /// `*.example.com` is every name below `example.com` that is nobody else's.
    pub hostname: HostName,
    pub id: DomainId,
    /// `heroku` for the app's own name, else `custom`.
    pub kind: String,
    pub updated_at: Timestamp,
    /// `pending` until the routers answer for it, then `succeeded`.
    pub status: String,
    pub sni_endpoint: Option<NamedReference>,
}

/// The body of `POST /apps/:app/domains`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AddDomain {
    pub hostname: String,
    /// A certificate of the app's; clients send null.
    #[serde(default)]
    pub sni_endpoint: Option<Identity>,
}

/// The body of `PATCH /apps/:app/domains/:hostname`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UpdateDomain {
    #[serde(default)]
    pub sni_endpoint: Option<Identity>,
}
