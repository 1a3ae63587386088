//! Accounts, tokens, roles and quotas.

use super::*;
use crate::error::{Error, Kind};
use crate::ops::accounts::{self, NewAuthorization};
use crate::reference::TokenRef;
use domain::policy::Role;

fn other(world: &World, email: &str, role: Role) -> Context {
    let token = accounts::create(&world.engine, &world.admin, &email.parse().unwrap(), role).unwrap();
    context(&world.engine, &token.secret)
}

#[test]
fn the_first_start_makes_one_administrator() {
    let world = World::start();
    let again = accounts::bootstrap(&world.engine, &"x@example.com".parse().unwrap(), |_| Ok(()));
    assert!(again.unwrap().is_none());
    let me = accounts::info(&world.engine, &world.admin).unwrap();
    assert_eq!((me.email.as_str(), me.role), ("admin@example.com", Role::Admin));
}

#[test]
fn an_administrator_whose_token_could_not_be_handed_over_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let engine = super::bare_engine(folder.path());
    let email = "admin@example.com".parse().unwrap();
    let failed = accounts::bootstrap(&engine, &email, |_| Err(Error::unavailable("no room for the token")));
    assert!(failed.is_err());
    let mut handed_over = None;
    let made = accounts::bootstrap(&engine, &email, |token| {
        handed_over = Some(token.secret.expose().clone());
        Ok(())
    });
    assert_eq!(made.unwrap().map(|token| token.secret.expose().clone()), handed_over);
    assert!(handed_over.is_some(), "the next start makes the account that the first could not");
}

#[test]
fn tokens_are_made_listed_revoked_and_expire() {
    let world = World::start();
    let wanted = NewAuthorization { description: Some("ci".into()), expires_in_seconds: Some(60) };
    let token = accounts::create_authorization(&world.engine, &world.admin, wanted).unwrap();
    assert!(token.secret.expose().starts_with(&token.authorization.prefix));
    let login = |email: &str| accounts::authenticate_login(&world.engine, email, &token.secret);
    assert!(login("Admin@example.com").is_ok());
    assert_eq!(login("other@example.com").unwrap_err().kind(), Kind::Unauthorised);
    let mine = context(&world.engine, &token.secret);
    let own = accounts::authorization(&world.engine, &mine, &TokenRef::Own).unwrap();
    assert_eq!((own.id, own.description.as_str()), (token.authorization.id, "ci"));
    world.clock.advance_millis(61_000);
    assert_eq!(accounts::authenticate(&world.engine, &token.secret).unwrap_err().id(), "unauthorized");
    let lasting =
        accounts::create_authorization(&world.engine, &world.admin, NewAuthorization::default()).unwrap();
    accounts::revoke(&world.engine, &world.admin, &TokenRef::Id(lasting.authorization.id)).unwrap();
    assert!(accounts::authenticate(&world.engine, &lasting.secret).is_err());
    let gone =
        accounts::revoke(&world.engine, &world.admin, &TokenRef::Id(lasting.authorization.id)).unwrap_err();
    assert_eq!((gone.kind(), gone.resource()), (Kind::NotFound, Some("authorization")));
    for bad in ["", "undefined", "dzn_00000000_00", &token.secret.expose()[..20]] {
        assert!(accounts::authenticate(&world.engine, &Secret::from(bad)).is_err(), "{bad:?}");
    }
}

#[test]
fn nobody_sees_what_is_not_theirs() {
    let world = World::start();
    let (_, app) = world.app("hello");
    let stranger = other(&world, "s@example.com", Role::Owner);
    let hidden = ops::apps::info(&world.engine, &stranger, &app).unwrap_err();
    assert_eq!((hidden.kind(), hidden.resource(), hidden.id()), (Kind::NotFound, Some("app"), "not_found"));
    assert!(ops::apps::list(&world.engine, &stranger, ops::apps::AppScope::All).unwrap().is_empty());
    let own = accounts::authorization(&world.engine, &world.admin, &TokenRef::Own).unwrap();
    let token = accounts::revoke(&world.engine, &stranger, &TokenRef::Id(own.id)).unwrap_err();
    assert_eq!(token.kind(), Kind::NotFound);
    assert_eq!(ops::events::list(&world.engine, &stranger, 0, 10).unwrap_err().kind(), Kind::Forbidden);
    let nobody = other(&world, "n@example.com", Role::None);
    assert_eq!(ops::apps::create(&world.engine, &nobody, None).unwrap_err().kind(), Kind::Forbidden);
    let more = accounts::create(&world.engine, &stranger, &"x@example.com".parse().unwrap(), Role::Admin);
    assert_eq!(more.unwrap_err().kind(), Kind::Forbidden);
}

#[test]
fn shared_apps_follow_the_granted_role() {
    let world = World::start();
    let (_, app) = world.app("hello");
    let guest = other(&world, "g@example.com", Role::Owner);
    let email = "g@example.com".parse().unwrap();
    let patch = [("A".parse().unwrap(), Some(Secret::from("1")))].into_iter().collect();
    let may = |context: &Context| {
        let kind = |result: Result<(), crate::Error>| result.err().map(|error| error.kind());
        [
            kind(ops::apps::info(&world.engine, context, &app).map(drop)),
            kind(ops::config::get(&world.engine, context, &app).map(drop)),
            kind(ops::config::patch(&world.engine, context, &app, &patch).map(drop)),
            kind(ops::collaborators::add(&world.engine, context, &app, &email, Role::Owner).map(drop)),
        ]
    };
    let share = |role| ops::collaborators::add(&world.engine, &world.admin, &app, &email, role).map(drop);
    assert_eq!(may(&guest), [Some(Kind::NotFound); 4]);
    share(Role::Viewer).unwrap();
    assert_eq!(may(&guest), [None, Some(Kind::Forbidden), Some(Kind::Forbidden), Some(Kind::Forbidden)]);
    share(Role::Operator).unwrap();
    assert_eq!(may(&guest), [None, None, None, Some(Kind::Forbidden)]);
    assert_eq!(share(Role::Admin).unwrap_err().kind(), Kind::Invalid);
    assert_eq!(
        ops::apps::list(&world.engine, &guest, ops::apps::AppScope::Mine).unwrap()[0].role,
        Role::Operator
    );
    assert_eq!(ops::collaborators::list(&world.engine, &world.admin, &app).unwrap().len(), 2);
    ops::collaborators::remove(&world.engine, &world.admin, &app, &email).unwrap();
    assert_eq!(may(&guest), [Some(Kind::NotFound); 4]);
}

#[test]
fn names_domains_and_quotas_hold() {
    let world = World::start_with(|settings| settings.app_quota = Some(2));
    let (_, app) = world.app("hello");
    let again = ops::apps::create(&world.engine, &world.admin, Some("hello".parse().unwrap())).unwrap_err();
    assert_eq!((again.kind(), again.message()), (Kind::Invalid, "Name hello is already taken"));
    let (_, second) = world.app("second");
    assert_eq!(ops::apps::create(&world.engine, &world.admin, None).unwrap_err().kind(), Kind::Forbidden);
    let add = |app: &AppRef, name: &str| {
        ops::domains::add(&world.engine, &world.admin, app, &name.parse().unwrap())
    };
    add(&app, "www.example.com").unwrap();
    for (app, name) in [(&second, "www.example.com"), (&app, "second.localhost"), (&app, "localhost")] {
        assert_eq!(add(app, name).unwrap_err().kind(), Kind::Invalid, "{name}");
    }
    let names = |app: &AppRef| {
        let all = ops::domains::list(&world.engine, &world.admin, app).unwrap();
        all.into_iter().map(|domain| domain.hostname.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(&app), ["hello.localhost", "www.example.com"]);
    ops::domains::remove(&world.engine, &world.admin, &app, "www.example.com").unwrap();
    assert_eq!(names(&app), ["hello.localhost"]);
    assert!(ops::domains::remove(&world.engine, &world.admin, &app, "hello.localhost").is_err());
    let on = ops::apps::AppPatch { name: None, maintenance: Some(ops::apps::Maintenance::On) };
    assert!(ops::apps::update(&world.engine, &world.admin, &app, &on).unwrap().app.maintenance);
    assert_ne!(account(&world.admin), domain::ids::AccountId::from_u128(0));
}
