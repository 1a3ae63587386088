//! Accounts and the tokens that act for them.

use super::{Done, acting_account, authorised_app, record};
use crate::context::{Actor, Context};
use crate::engine::Engine;
use crate::error::Error;
use crate::idempotency;
use crate::reference::{AppRef, PersonRef, TokenRef};
use domain::account::{Account, Authorization, Email};
use domain::app::App;
use domain::event::ResourceKind;
use domain::ids::{AccountId, TokenId};
use domain::policy::{self, Action, Resource, Role};
use domain::scope::Scope;
use domain::secret::Secret;
use domain::time::WallMillis;
use sha2::{Digest, Sha256};
use store::tables::tokens::SecretHash;
use store::{Reader, Writer};

/// Random bytes that a token's prefix shows, and that its secret part does not depend on.
const PREFIX_BYTES: usize = 4;
/// Longest life of a token that is given one: a hundred years. Later ends cannot be written as dates.
const LIFETIME_LIMIT_SECONDS: u64 = 100 * 365 * 24 * 60 * 60;
/// Longest description of a token that is kept, in characters.
const DESCRIPTION_LIMIT_CHARS: usize = 200;

/// Who a secret belongs to.
#[derive(Debug, Clone)]
pub struct Authenticated {
    pub actor: Actor,
    pub token: TokenId,
    pub account: Account,
}

/// A token with its secret, which nobody can look up again.
#[derive(Debug)]
pub struct NewToken {
    pub authorization: Authorization,
    pub secret: Secret<String>,
}

/// What to make a token for.
#[derive(Debug, Clone, Default)]
pub struct NewAuthorization {
    pub description: Option<String>,
    /// `None`: never.
    pub expires_in_seconds: Option<u64>,
    /// A token for deploying this app and for nothing else; `None`: for all that the account may do.
    pub deploys: Option<AppRef>,
}

/// On an empty ledger: makes the administrator's account and token. `None` if there are accounts already.
///
/// `hand_over` gets the token before the account is committed: a crash in between leaves a token of no account, and the next start
/// makes another. The other way round nobody would ever have it.
pub fn bootstrap(
    engine: &Engine,
    email: &Email,
    hand_over: impl FnOnce(&NewToken) -> Result<(), Error>,
) -> Result<Option<NewToken>, Error> {
    let context = Context::system("first-start");
    engine.write(|writer| {
        if writer.count_accounts()? > 0 {
            return Ok(None);
        }
        let account = insert_account(engine, writer, &context, email, Role::Admin)?;
        let wanted =
            NewAuthorization { description: Some("First start".to_owned()), ..NewAuthorization::default() };
        let token = insert_token(engine, writer, &context, &account, wanted)?;
        hand_over(&token)?;
        Ok(Some(token))
    })
}

/// Whose token this is.
pub fn authenticate(engine: &Engine, token: &Secret<String>) -> Result<Authenticated, Error> {
    let hash = secret_hash(token);
    engine.read(|reader| {
        let found = reader.token_by_secret(&hash)?.filter(|found| !has_expired(engine, found.expires_at));
        holder_of(reader, found.ok_or_else(invalid_credentials)?)
    })
}

/// Who holds the token of this id, with the role that they have now. For what goes on after its request.
pub fn holder(engine: &Engine, token: TokenId) -> Result<Authenticated, Error> {
    engine.read(|reader| {
        let found = reader.token(token)?.filter(|found| !has_expired(engine, found.expires_at));
        holder_of(reader, found.ok_or_else(invalid_credentials)?)
    })
}

fn holder_of(reader: &Reader<'_>, token: Authorization) -> Result<Authenticated, Error> {
    let account = reader.account(token.account.id)?.ok_or_else(invalid_credentials)?;
    let actor = Actor::Account { id: account.id, role: account.role, scope: token.scope };
    Ok(Authenticated { actor, token: token.id, account })
}

/// Email and password, as `login` sends them: the password is a token of the account with that address.
pub fn authenticate_login(
    engine: &Engine,
    email: &str,
    password: &Secret<String>,
) -> Result<Authenticated, Error> {
    let authenticated = authenticate(engine, password)?;
    let same = email.parse::<Email>().is_ok_and(|email| email == authenticated.account.email);
    if same { Ok(authenticated) } else { Err(invalid_credentials()) }
}

pub fn info(engine: &Engine, context: &Context) -> Result<Account, Error> {
    let id = acting_account(context)?;
    policy::authorise(&context.actor, Action::AccountRead, &Resource::Account(id))?;
    engine.read(|reader| reader.account(id)?.ok_or_else(invalid_credentials))
}

/// Everybody who has an account, by address.
pub fn list(engine: &Engine, context: &Context) -> Result<Vec<Account>, Error> {
    policy::authorise(&context.actor, Action::AccountList, &Resource::Installation)?;
    engine.read(|reader| Ok(reader.accounts()?))
}

/// A further account. Its owner gets in by a token that the administrator makes for it.
pub fn create(engine: &Engine, context: &Context, email: &Email, role: Role) -> Result<NewToken, Error> {
    policy::authorise(&context.actor, Action::AccountCreate, &Resource::Installation)?;
    engine.write(|writer| {
        idempotency::refuse_repeat(engine, writer, context)?;
        if writer.account_by_email(email)?.is_some() {
            return Err(Error::invalid(format!("An account with the address {email} exists already.")));
        }
        let account = insert_account(engine, writer, context, email, role)?;
        let wanted =
            NewAuthorization { description: Some("First token".to_owned()), ..NewAuthorization::default() };
        let token = insert_token(engine, writer, context, &account, wanted)?;
        idempotency::keep(engine, writer, context, ResourceKind::Account, account.id.to_string())?;
        Ok(token)
    })
}

/// A further token for an account whose owner has none left.
pub fn create_token_for(
    engine: &Engine,
    context: &Context,
    person: &PersonRef,
) -> Result<(Account, NewToken), Error> {
    policy::authorise(&context.actor, Action::AccountCreate, &Resource::Installation)?;
    engine.write(|writer| {
        idempotency::refuse_repeat(engine, writer, context)?;
        let account = match person {
            PersonRef::Id(id) => writer.account(*id)?,
            PersonRef::Email(email) => writer.account_by_email(email)?,
            PersonRef::Unknown => None,
        };
        let account = account.ok_or_else(|| Error::not_found("user", "Couldn't find that user."))?;
        let wanted = NewAuthorization {
            description: Some("Made by the administrator".to_owned()),
            expires_in_seconds: None,
            deploys: None,
        };
        let token = insert_token(engine, writer, context, &account, wanted)?;
        idempotency::keep(engine, writer, context, ResourceKind::Token, token.authorization.id.to_string())?;
        Ok((account, token))
    })
}

pub fn create_authorization(
    engine: &Engine,
    context: &Context,
    wanted: NewAuthorization,
) -> Result<NewToken, Error> {
    let id = acting_account(context)?;
    policy::authorise(&context.actor, Action::TokenCreate, &Resource::Account(id))?;
    engine.write(|writer| {
        idempotency::refuse_repeat(engine, writer, context)?;
        let account = writer.account(id)?.ok_or_else(invalid_credentials)?;
        let token = insert_token(engine, writer, context, &account, wanted)?;
        idempotency::keep(engine, writer, context, ResourceKind::Token, token.authorization.id.to_string())?;
        Ok(token)
    })
}

/// The account's own tokens that have not expired.
pub fn list_authorizations(engine: &Engine, context: &Context) -> Result<Vec<Authorization>, Error> {
    let id = acting_account(context)?;
    policy::authorise(&context.actor, Action::TokenRead, &Resource::Account(id))?;
    let mut tokens = engine.read(|reader| Ok(reader.tokens_of(id)?))?;
    tokens.retain(|token| !has_expired(engine, token.expires_at));
    Ok(tokens)
}

pub fn authorization(engine: &Engine, context: &Context, token: &TokenRef) -> Result<Authorization, Error> {
    engine.read(|reader| find_token(reader, context, token, Action::TokenRead))
}

/// Deletes a token: the next request with it is refused.
pub fn revoke(engine: &Engine, context: &Context, token: &TokenRef) -> Result<Authorization, Error> {
    engine.write(|writer| {
        let token = find_token(writer, context, token, Action::TokenRevoke)?;
        writer.delete_token(token.id)?;
        let done = Done::new(Action::TokenRevoke.name(), None, ResourceKind::Token, token.id);
        record(engine, writer, context, done.before("description", &token.description))?;
        Ok(token)
    })
}

/// Gives a token another description.
pub fn describe_authorization(
    engine: &Engine,
    context: &Context,
    token: &TokenRef,
    description: &str,
) -> Result<Authorization, Error> {
    engine.write(|writer| {
        let before = find_token(writer, context, token, Action::TokenUpdate)?;
        let token = Authorization { description: bounded(description), ..before.clone() };
        writer.describe_token(token.id, &token.description)?;
        let done = Done::new(Action::TokenUpdate.name(), None, ResourceKind::Token, token.id);
        let done = done.before("description", &before.description).after("description", &token.description);
        record(engine, writer, context, done)?;
        Ok(token)
    })
}

/// Gives a token another secret, valid for as long again as it was made for. The one before opens nothing any more.
pub fn rotate(engine: &Engine, context: &Context, token: &TokenRef) -> Result<NewToken, Error> {
    engine.write(|writer| {
        idempotency::refuse_repeat(engine, writer, context)?;
        let before = find_token(writer, context, token, Action::TokenUpdate)?;
        let now = engine.now();
        let (prefix, secret) = new_secret(engine);
        let lifetime = before.expires_at.map(|end| end.0.saturating_sub(before.created_at.0));
        let expires_at = lifetime.map(|lifetime| WallMillis(now.0.saturating_add(lifetime)));
        let authorization = Authorization { prefix, created_at: now, expires_at, ..before };
        writer.rotate_token(&authorization, &secret_hash(&secret))?;
        let done = Done::new(Action::TokenUpdate.name(), None, ResourceKind::Token, authorization.id);
        record(engine, writer, context, done.after("secret", "rotated"))?;
        idempotency::keep(engine, writer, context, ResourceKind::Token, authorization.id.to_string())?;
        Ok(NewToken { authorization, secret })
    })
}

fn find_token(
    reader: &Reader<'_>,
    context: &Context,
    token: &TokenRef,
    action: Action,
) -> Result<Authorization, Error> {
    let missing = || Error::not_found("authorization", "Couldn't find that authorization.");
    let id = match token {
        TokenRef::Id(id) => *id,
        TokenRef::Own => context.token.ok_or_else(missing)?,
        TokenRef::Unknown => return Err(missing()),
    };
    let found = reader.token(id)?.ok_or_else(missing)?;
    match policy::authorise(&context.actor, action, &Resource::Account(found.account.id)) {
        Ok(()) => Ok(found),
        Err(_) => Err(missing()),
    }
}

fn insert_account(
    engine: &Engine,
    writer: &Writer<'_>,
    context: &Context,
    email: &Email,
    role: Role,
) -> Result<Account, Error> {
    let now = engine.now();
    let id = AccountId::from_uuid(engine.uuid());
    let account = Account { id, email: email.clone(), role, created_at: now, updated_at: now };
    writer.insert_account(&account)?;
    let done = Done::new(Action::AccountCreate.name(), None, ResourceKind::Account, id);
    record(engine, writer, context, done.after("email", email).after("role", role))?;
    Ok(account)
}

fn insert_token(
    engine: &Engine,
    writer: &Writer<'_>,
    context: &Context,
    account: &Account,
    wanted: NewAuthorization,
) -> Result<NewToken, Error> {
    let now = engine.now();
    let deploys = deployed_app(writer, context, wanted.deploys.as_ref())?;
    let id = TokenId::from_uuid(engine.uuid());
    let (prefix, secret) = new_secret(engine);
    let description = wanted.description.unwrap_or_else(|| default_description(deploys.as_ref()));
    let authorization = Authorization {
        id,
        account: account.reference(),
        description: bounded(&description),
        prefix,
        scope: deploys.as_ref().map_or(Scope::Global, |app| Scope::Deploy(app.id)),
        deploys: deploys.map(|app| app.name),
        created_at: now,
        expires_at: wanted.expires_in_seconds.map(|seconds| end_after(now, seconds)).transpose()?,
    };
    writer.insert_token(&authorization, &secret_hash(&secret))?;
    let mut done = Done::new(Action::TokenCreate.name(), None, ResourceKind::Token, id);
    if let Some(app) = &authorization.deploys {
        done = done.after("deploys", app);
    }
    record(engine, writer, context, done.after("description", &authorization.description))?;
    Ok(NewToken { authorization, secret })
}

fn end_after(now: WallMillis, seconds: u64) -> Result<WallMillis, Error> {
    if seconds > LIFETIME_LIMIT_SECONDS {
        let told = format!("A token lasts at most {LIFETIME_LIMIT_SECONDS} seconds (100 years).");
        return Err(
            Error::invalid(told).with_hint("Leave `expires_in` out for one that lasts until it is revoked.")
        );
    }
    Ok(WallMillis(now.0.saturating_add(seconds * 1000)))
}

/// The part of a token that tells it apart, and the whole.
fn new_secret(engine: &Engine) -> (String, Secret<String>) {
    let mark = hex::encode(engine.random::<PREFIX_BYTES>());
    let prefix = format!("dzn_{mark}");
    let secret = Secret::new(format!("{prefix}_{}", hex::encode(engine.random::<32>())));
    (prefix, secret)
}

fn bounded(description: &str) -> String {
    description.chars().filter(|c| !c.is_control()).take(DESCRIPTION_LIMIT_CHARS).collect()
}

/// The app of a deploy token: one that its maker may deploy.
fn deployed_app(reader: &Reader<'_>, context: &Context, app: Option<&AppRef>) -> Result<Option<App>, Error> {
    app.map(|app| authorised_app(reader, context, app, Action::BuildCreate)).transpose()
}

fn default_description(deploys: Option<&App>) -> String {
    match deploys {
        Some(app) => format!("Deploys of {}", app.name),
        None => "Long-lived user authorization".to_owned(),
    }
}

/// The secret part has 256 random bits: a plain hash cannot be searched.
fn secret_hash(token: &Secret<String>) -> SecretHash {
    Sha256::new().chain_update(b"dozen token 1:").chain_update(token.expose()).finalize().into()
}

fn has_expired(engine: &Engine, expires_at: Option<WallMillis>) -> bool {
    expires_at.is_some_and(|at| at <= engine.now())
}

fn invalid_credentials() -> Error {
    Error::unauthorised("Invalid credentials provided.")
        .with_hint("Run `dozen login`, or check the token that you use.")
}
