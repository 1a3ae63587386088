//! Objects for the tests of what is printed.

use api::app::App;
use api::build::{Build, BuildStatus, SourceBlob};
use api::collaborator::{Collaborator, CollaboratorUser, Permission};
use api::domain_name::Domain;
use api::dozen::status::AppStatus;
use api::dyno::{Dyno, DynoState};
use api::formation::Formation;
use api::oauth::{AccessToken, Authorization, AuthorizationUser};
use api::reference::{AppIdReference, AppReference, NamedReference, ReleaseReference, UserReference};
use api::release::{Release, ReleaseStatus};
use api::{Timestamp, Token};
use domain::ids::{AccountId, AppId, BuildId, DomainId, ReleaseId};
use domain::names::ReleaseVersion;
use uuid::Uuid;

const ID: u128 = 0x0123_4567_89ab_4cde_8f01_2345_6789_abcd;

pub fn at() -> Timestamp {
    "2026-01-31T12:00:00Z".parse().expect("a time")
}

/// Five minutes later.
pub fn now() -> Timestamp {
    Timestamp::from_unix_seconds(at().as_unix_seconds() + 300)
}

fn named(name: &str) -> NamedReference {
    NamedReference { id: Uuid::from_u128(ID), name: name.to_owned() }
}

pub fn user() -> UserReference {
    UserReference { id: AccountId::from_u128(ID), email: "ada@example.com".to_owned() }
}

pub fn app_reference(name: &str) -> AppReference {
    AppReference { id: AppId::from_u128(ID), name: name.parse().expect("a name") }
}

pub fn release_reference(version: u64) -> ReleaseReference {
    ReleaseReference { id: ReleaseId::from_u128(ID), version: ReleaseVersion(version) }
}

pub fn app(name: &str) -> App {
    App {
        acm: false,
        archived_at: None,
        buildpack_provided_description: Some("Rust".to_owned()),
        build_stack: named("host"),
        created_at: at(),
        generation: named("cedar"),
        git_url: format!("https://localhost:8443/{name}.git"),
        id: AppId::from_u128(ID),
        internal_routing: None,
        maintenance: false,
        name: name.parse().expect("a name"),
        owner: user(),
        organization: None,
        team: None,
        region: named("here"),
        released_at: Some(at()),
        repo_size: Some(20_480),
        slug_size: Some(3_145_728),
        space: None,
        stack: named("host"),
        updated_at: at(),
        web_url: Some(format!("http://{name}.localhost:8080/")),
    }
}

pub fn app_status(name: &str) -> AppStatus {
    AppStatus {
        app: app_reference(name),
        head: Some(release_reference(3)),
        current: Some(release_reference(3)),
        candidate: None,
        waits: Vec::new(),
        warnings: Vec::new(),
    }
}

fn share(process_type: &str, quantity: u32) -> Formation {
    Formation {
        app: app_reference("hello"),
        command: format!("hello {process_type}"),
        created_at: at(),
        dyno_size: named("standard"),
        id: Uuid::from_u128(ID),
        quantity,
        size: "standard".to_owned(),
        process_type: process_type.parse().expect("a type"),
        updated_at: at(),
    }
}

pub fn formation() -> Vec<Formation> {
    vec![share("web", 2), share("worker", 0)]
}

pub fn dyno(name: &str, state: DynoState) -> Dyno {
    let process_type = name.split('.').next().expect("a type");
    Dyno {
        attach_url: None,
        command: format!("hello {process_type}"),
        created_at: at(),
        id: Uuid::from_u128(ID),
        name: name.to_owned(),
        release: release_reference(3),
        app: app_reference("hello"),
        size: "standard".to_owned(),
        state,
        process_type: process_type.parse().expect("a type"),
        updated_at: at(),
    }
}

pub fn release(version: u64, description: &str, status: ReleaseStatus) -> Release {
    Release {
        addon_plan_names: Vec::new(),
        artifacts: Vec::new(),
        app: app_reference("hello"),
        created_at: at(),
        description: description.to_owned(),
        id: ReleaseId::from_u128(u128::from(version)),
        updated_at: at(),
        slug: None,
        status,
        user: user(),
        version: ReleaseVersion(version),
        current: false,
        output_stream_url: None,
        eligible_for_rollback: status == ReleaseStatus::Succeeded,
    }
}

pub fn build(number: u128, status: BuildStatus) -> Build {
    Build {
        app: AppIdReference { id: AppId::from_u128(ID) },
        buildpacks: None,
        created_at: at(),
        generation: "cedar".to_owned(),
        id: BuildId::from_u128(ID + number),
        output_stream_url: "https://localhost:8443/streams/x".to_owned(),
        release: None,
        slug: None,
        source_blob: SourceBlob {
            checksum: None,
            url: "https://localhost:8443/hello.git".to_owned(),
            version: Some("a97f3d42".repeat(5)),
            version_description: None,
        },
        stack: "host".to_owned(),
        status,
        updated_at: at(),
        user: user(),
    }
}

pub fn domain(hostname: &str, kind: &str) -> Domain {
    Domain {
        acm_status: None,
        acm_status_reason: None,
        app: app_reference("hello"),
        cname: (kind == "custom").then(|| "hello.localhost".to_owned()),
        created_at: at(),
        hostname: hostname.parse().expect("a host name"),
        id: DomainId::from_u128(ID),
        kind: kind.to_owned(),
        updated_at: at(),
        status: "pending".to_owned(),
        sni_endpoint: None,
    }
}

pub fn collaborator(email: &str, role: &str, permissions: &[&str]) -> Collaborator {
    let held = |name: &&str| Permission { name: (*name).to_owned(), description: String::new() };
    Collaborator {
        app: app_reference("hello"),
        created_at: at(),
        id: Uuid::from_u128(ID),
        permissions: permissions.iter().map(held).collect(),
        role: Some(role.to_owned()),
        updated_at: at(),
        user: CollaboratorUser { email: email.to_owned(), federated: false, id: AccountId::from_u128(ID) },
    }
}

pub fn authorization(description: &str, expires_in: Option<u64>) -> Authorization {
    let token = Token::new("dzn_01234567**********");
    Authorization {
        access_token: Some(AccessToken { expires_in, id: Uuid::from_u128(ID), token }),
        client: None,
        created_at: at(),
        description: description.to_owned(),
        grant: None,
        id: Uuid::from_u128(ID),
        refresh_token: None,
        scope: vec!["global".to_owned()],
        session: None,
        updated_at: at(),
        user: AuthorizationUser { id: AccountId::from_u128(ID), email: user().email, full_name: None },
    }
}
