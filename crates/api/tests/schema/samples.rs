//! One answer of each type, with what may be absent present, and once more with it absent.

use api::account::{Account, RateLimit};
use api::app::App;
use api::build::{Build, BuildStatus, Buildpack, SourceBlob};
use api::dyno::{Dyno, DynoState, Empty};
use api::formation::Formation;
use api::log_session::LogSession;
use api::oauth::{AccessToken, Authorization, AuthorizationUser};
use api::reference::{
    AppIdReference, AppReference, IdReference, NamedReference, ReleaseIdReference, ReleaseReference,
    UserReference,
};
use api::region::{Region, RegionProvider};
use api::release::{Artifact, Release, ReleaseStatus};
use api::slug::{Slug, SlugBlob};
use api::stack::Stack;
use api::{Timestamp, Token};
use domain::ids::{AccountId, AppId, BuildId, ReleaseId};
use domain::names::ReleaseVersion;
use uuid::Uuid;

/// Whether a sample has what may be absent.
#[derive(Debug, Clone, Copy)]
pub enum Extent {
    Full,
    Sparse,
}

impl Extent {
    fn some<T>(self, value: T) -> Option<T> {
        match self {
            Self::Full => Some(value),
            Self::Sparse => None,
        }
    }
}

const ID: u128 = 0x0123_4567_89ab_4cde_8f01_2345_6789_abcd;

fn uuid() -> Uuid {
    Uuid::from_u128(ID)
}

fn at() -> Timestamp {
    Timestamp::from_unix_seconds(1_770_000_000)
}

fn named(name: &str) -> NamedReference {
    NamedReference { id: uuid(), name: name.to_owned() }
}

fn user() -> UserReference {
    UserReference { id: AccountId::from_u128(ID), email: "ada@example.com".to_owned() }
}

fn app_reference() -> AppReference {
    AppReference { id: AppId::from_u128(ID), name: "hello".parse().expect("a name") }
}

fn release_reference() -> ReleaseReference {
    ReleaseReference { id: ReleaseId::from_u128(ID), version: ReleaseVersion(3) }
}

pub fn account(extent: Extent) -> Account {
    let account = Account::new(AccountId::from_u128(ID), "ada@example.com".to_owned(), at());
    Account { last_login: extent.some(at()), name: extent.some("Ada".to_owned()), ..account }
}

pub fn rate_limit(_: Extent) -> RateLimit {
    RateLimit { remaining: 4500 }
}

pub fn app(extent: Extent) -> App {
    App {
        acm: false,
        archived_at: None,
        buildpack_provided_description: extent.some("Rust".to_owned()),
        build_stack: named("dozen-1"),
        created_at: at(),
        generation: named("cedar"),
        git_url: "https://git.heroku.com/hello.git".to_owned(),
        id: AppId::from_u128(ID),
        internal_routing: None,
        maintenance: false,
        name: "hello".parse().expect("a name"),
        owner: user(),
        organization: None,
        team: None,
        region: named("here"),
        released_at: extent.some(at()),
        repo_size: extent.some(1),
        slug_size: extent.some(1),
        space: None,
        stack: named("dozen-1"),
        updated_at: at(),
        web_url: extent.some("https://hello.herokuapp.com/".to_owned()),
    }
}

pub fn build(extent: Extent) -> Build {
    Build {
        app: AppIdReference { id: AppId::from_u128(ID) },
        buildpacks: extent
            .some(vec![Buildpack { url: "dozen:rust".to_owned(), name: "dozen/rust".to_owned() }]),
        created_at: at(),
        generation: "cedar".to_owned(),
        id: BuildId::from_u128(ID),
        output_stream_url: "https://localhost:8443/streams/x".to_owned(),
        release: extent.some(ReleaseIdReference { id: ReleaseId::from_u128(ID) }),
        slug: extent.some(IdReference { id: uuid() }),
        source_blob: SourceBlob {
            checksum: None,
            url: "https://localhost:8443/hello.git".to_owned(),
            version: extent.some("a".repeat(40)),
            version_description: None,
        },
        stack: "dozen-1".to_owned(),
        status: BuildStatus::Succeeded,
        updated_at: at(),
        user: user(),
    }
}

pub fn dyno(extent: Extent) -> Dyno {
    Dyno {
        attach_url: extent.some("rendezvous://localhost:8443/secret".to_owned()),
        command: "bash".to_owned(),
        created_at: at(),
        id: uuid(),
        name: "run.4821".to_owned(),
        release: release_reference(),
        app: app_reference(),
        size: "standard".to_owned(),
        state: DynoState::Starting,
        process_type: "run".parse().expect("a type"),
        updated_at: at(),
    }
}

pub fn empty(_: Extent) -> Empty {
    Empty {}
}

pub fn formation(_: Extent) -> Formation {
    Formation {
        app: app_reference(),
        command: "hello web".to_owned(),
        created_at: at(),
        dyno_size: named("standard"),
        id: uuid(),
        quantity: 2,
        size: "standard".to_owned(),
        process_type: "web".parse().expect("a type"),
        updated_at: at(),
    }
}

pub fn log_session(_: Extent) -> LogSession {
    LogSession {
        created_at: at(),
        id: uuid(),
        logplex_url: "https://localhost:8443/logs/x".to_owned(),
        updated_at: at(),
    }
}

pub fn authorization(extent: Extent) -> Authorization {
    let token = AccessToken { expires_in: extent.some(2_592_000), id: uuid(), token: Token::new("secret") };
    Authorization {
        access_token: extent.some(token),
        client: None,
        created_at: at(),
        description: "laptop".to_owned(),
        grant: None,
        id: uuid(),
        refresh_token: None,
        scope: vec!["global".to_owned()],
        session: extent.some(IdReference { id: uuid() }),
        updated_at: at(),
        user: AuthorizationUser {
            id: AccountId::from_u128(ID),
            email: "ada@example.com".to_owned(),
            full_name: extent.some("Ada".to_owned()),
        },
    }
}

pub fn region(_: Extent) -> Region {
    Region {
        country: "Earth".to_owned(),
        created_at: at(),
        description: "This server".to_owned(),
        id: uuid(),
        locale: "Here".to_owned(),
        name: "here".to_owned(),
        private_capable: false,
        provider: RegionProvider { name: "dozen".to_owned(), region: "eu-west-1".to_owned() },
        updated_at: at(),
    }
}

pub fn release(extent: Extent) -> Release {
    Release {
        addon_plan_names: Vec::new(),
        artifacts: extent.some(vec![Artifact { kind: "slug".to_owned(), id: uuid() }]).unwrap_or_default(),
        app: app_reference(),
        created_at: at(),
        description: "Deploy a97f3d42".to_owned(),
        id: ReleaseId::from_u128(ID),
        updated_at: at(),
        slug: extent.some(IdReference { id: uuid() }),
        status: ReleaseStatus::Succeeded,
        user: user(),
        version: ReleaseVersion(3),
        current: true,
        output_stream_url: extent.some("https://localhost:8443/streams/x".to_owned()),
        eligible_for_rollback: true,
    }
}

pub fn slug(extent: Extent) -> Slug {
    Slug {
        blob: SlugBlob { method: "GET".to_owned(), url: "https://localhost:8443/slugs/x".to_owned() },
        buildpack_provided_description: extent.some("Rust".to_owned()),
        checksum: extent.some("SHA256:00".to_owned()),
        commit: extent.some("a".repeat(40)),
        commit_description: None,
        created_at: at(),
        id: uuid(),
        process_types: [("web".to_owned(), "hello web".to_owned())].into(),
        size: extent.some(1),
        stack: named("dozen-1"),
        updated_at: at(),
        deleted_at: None,
    }
}

pub fn stack(_: Extent) -> Stack {
    Stack {
        default: true,
        created_at: at(),
        id: uuid(),
        name: "dozen-1".to_owned(),
        state: "public".to_owned(),
        updated_at: at(),
    }
}
