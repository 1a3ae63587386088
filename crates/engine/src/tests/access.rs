//! Accounts, tokens, roles and quotas.

use super::*;
use crate::error::{Error, Kind};
use crate::ops::accounts::{self, NewAuthorization};
use crate::reference::{PersonRef, TokenRef};
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
    let wanted =
        NewAuthorization { description: Some("ci".into()), expires_in_seconds: Some(60), deploys: None };
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
    for (seconds, taken) in [(100 * 365 * 24 * 60 * 60, true), (10_u64.pow(16), false), (u64::MAX, false)] {
        let wanted = NewAuthorization { expires_in_seconds: Some(seconds), ..NewAuthorization::default() };
        match accounts::create_authorization(&world.engine, &world.admin, wanted) {
            Ok(made) => assert!(taken && accounts::authenticate(&world.engine, &made.secret).is_ok()),
            Err(error) => assert!(!taken && error.kind() == Kind::Invalid, "{seconds}: {error}"),
        }
    }
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
    let email = PersonRef::new("g@example.com");
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

#[test]
fn domains_of_different_accounts_do_not_overlap() {
    let world = World::start();
    let (_, ours) = world.app("hello");
    let (_, ours_too) = world.app("second");
    let other = other(&world, "o@example.com", Role::Owner);
    let theirs = ops::apps::create(&world.engine, &other, Some("theirs".parse().unwrap())).unwrap();
    let theirs = AppRef::Id(theirs.app.id);
    let add = |context: &Context, app: &AppRef, name: &str| {
        let added = ops::domains::add(&world.engine, context, app, &name.parse().unwrap());
        added.map(drop).map_err(|error| error.message().to_owned())
    };
    add(&world.admin, &ours, "*.example.com").unwrap();
    add(&world.admin, &ours_too, "www.example.com").unwrap();
    add(&other, &theirs, "www.example.org").unwrap();
    for (context, app, name, reason) in [
        (&other, &theirs, "shop.example.com", "overlaps"),
        (&other, &theirs, "*.shop.example.com", "overlaps"),
        (&world.admin, &ours, "*.example.org", "overlaps"),
        (&world.admin, &ours, "*.example.com", "already a domain of this app"),
        (&world.admin, &ours_too, "*.example.com", "by another app"),
        (&world.admin, &ours, "x.localhost", "belong to apps by their names"),
        (&world.admin, &ours, "*.localhost", "belong to apps by their names"),
        (&world.admin, &ours, "10.0.0.1", "not the name of a domain"),
        (&world.admin, &ours, "com", "not the name of a domain"),
    ] {
        let refused = add(context, app, name).expect_err(name);
        assert!(refused.contains(reason), "{name}: {refused}");
    }
    add(&other, &theirs, "example.com").expect("a wildcard does not cover the name itself");
}

#[test]
fn wildcards_may_not_cover_the_base_domain() {
    let world = World::start_with(|settings| settings.base_domain = "paas.example.com".parse().unwrap());
    let (_, app) = world.app("hello");
    let add = |name: &str| ops::domains::add(&world.engine, &world.admin, &app, &name.parse().unwrap());
    let refused = add("*.example.com").unwrap_err();
    assert!(refused.message().contains("covers paas.example.com"), "{refused}");
    add("*.shop.example.com").unwrap();
}

#[test]
fn a_new_domain_is_pending_until_the_routers_answer_for_it() {
    let world = World::start();
    let (_, app) = world.app("hello");
    world.push(&app, 1);
    let added = ops::domains::add(&world.engine, &world.admin, &app, &"www.example.com".parse().unwrap());
    assert_eq!(added.unwrap().target.as_str(), "hello.localhost");
    world.until("the domain is answered", || {
        let all = ops::domains::list(&world.engine, &world.admin, &app).unwrap();
        all.iter().all(|domain| domain.answered == ops::domains::Answered::Yes).then_some(())
    });
    let table = world.backend.observed().published.expect("a table");
    assert!(table.apps[0].hosts.iter().any(|host| host.as_str() == "www.example.com"));
    ops::domains::remove(&world.engine, &world.admin, &app, "www.example.com").unwrap();
    world.until("the route is gone", || {
        let table = world.backend.observed().published?;
        (table.apps[0].hosts.len() == 1).then_some(())
    });
}

#[test]
fn a_rotated_token_is_another_secret_under_the_same_id() {
    let world = World::start();
    let wanted = NewAuthorization { expires_in_seconds: Some(60), ..NewAuthorization::default() };
    let made = accounts::create_authorization(&world.engine, &world.admin, wanted).unwrap();
    world.clock.advance_millis(30_000);
    let token = TokenRef::Id(made.authorization.id);
    let rotated = accounts::rotate(&world.engine, &world.admin, &token).unwrap();
    assert_eq!(rotated.authorization.id, made.authorization.id);
    assert_ne!(rotated.authorization.prefix, made.authorization.prefix);
    assert!(accounts::authenticate(&world.engine, &made.secret).is_err());
    world.clock.advance_millis(31_000);
    assert!(accounts::authenticate(&world.engine, &rotated.secret).is_ok(), "its time began anew");
    let told = accounts::describe_authorization(&world.engine, &world.admin, &token, "CI\n").unwrap();
    assert_eq!(told.description, "CI");
    let stranger = other(&world, "s@example.com", Role::Owner);
    assert_eq!(accounts::rotate(&world.engine, &stranger, &token).unwrap_err().kind(), Kind::NotFound);
}
