//! Uploads, deploy tokens, public keys, and what a tree's own version becomes.

use super::*;
use crate::error::{Error, Kind};
use crate::ops::accounts::{self, NewAuthorization};
use crate::ops::sources::{self, Upload};
use crate::ops::ssh_keys;
use crate::reference::PersonRef;
use domain::build::TreeSource;
use domain::policy::{Action, Role};

const PUBLIC_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGm0Tv/lhuRxAnjJfUx46ceAzPyXIlotmEohm3ktXtPt";

fn upload(digit: char) -> Upload {
    let checksum = format!("SHA256:{}", digit.to_string().repeat(64)).parse().unwrap();
    Upload { bytes: 3, checksum }
}

/// Puts bytes into a place.
fn put(world: &World, secret: &str, digit: char) -> Result<(), Error> {
    put_upload(world, secret, &upload(digit))
}

fn put_upload(world: &World, secret: &str, upload: &Upload) -> Result<(), Error> {
    let source = sources::to_write(&world.engine, secret)?;
    let part = sources::part_file(&world.engine).unwrap();
    std::fs::write(&part, "tar").unwrap();
    sources::keep(&world.engine, source.id, &part, upload)
}

fn uploads(world: &World) -> usize {
    std::fs::read_dir(world.folder.path().join("uploads")).map_or(0, Iterator::count)
}

#[test]
fn an_upload_is_kept_once_and_closed_in_time() {
    let world = World::start();
    let made = sources::create(&world.engine, &world.admin, None).unwrap();
    let (write, read) = (made.put.expose(), made.get.expose());
    assert_eq!(sources::to_write(&world.engine, read).unwrap_err().kind(), Kind::NotFound);
    assert_eq!(sources::to_read(&world.engine, write).unwrap(), None, "each secret opens one way");
    assert_eq!(sources::to_read(&world.engine, read).unwrap().unwrap().upload, None);
    put(&world, write, 'a').unwrap();
    put(&world, write, 'a').unwrap();
    assert_eq!(put(&world, write, 'b').unwrap_err().kind(), Kind::Conflict);
    let kept = sources::to_read(&world.engine, read).unwrap().unwrap();
    assert_eq!(kept.upload, Some(upload('a')));
    assert!(sources::file(&world.engine, kept.id).is_file());
    world.clock.advance_millis(2 * 60 * 60 * 1000);
    assert!(sources::to_read(&world.engine, read).unwrap().is_none() && put(&world, write, 'a').is_err());
    sources::close_expired(&world.engine).unwrap();
    assert!(!sources::file(&world.engine, kept.id).exists());
}

#[test]
fn a_start_keeps_whole_uploads_and_nothing_else() {
    let mut world = World::start();
    let (_, app) = world.app("hello");
    let (kept, gone) = (
        sources::create(&world.engine, &world.admin, None).unwrap(),
        sources::create(&world.engine, &world.admin, Some(&app)).unwrap(),
    );
    put(&world, kept.put.expose(), 'a').unwrap();
    put(&world, gone.put.expose(), 'a').unwrap();
    ops::apps::destroy(&world.engine, &world.admin, &app).unwrap();
    std::fs::write(sources::part_file(&world.engine).unwrap(), "half").unwrap();
    world.restart();
    assert_eq!(uploads(&world), 1);
    let found = sources::to_read(&world.engine, kept.get.expose()).unwrap().unwrap();
    assert!(sources::file(&world.engine, found.id).is_file() && found.upload.is_some());
    assert!(sources::to_read(&world.engine, gone.get.expose()).unwrap().is_none());
}

#[test]
fn places_are_bounded() {
    let world = World::start();
    let place = || sources::create(&world.engine, &world.admin, None);
    let used = |upload: &Upload| put_upload(&world, place()?.put.expose(), upload);
    for _ in 0..100 {
        used(&upload('a')).expect("a place that was used is not open any more");
    }
    let full = (0..100).find_map(|_| place().err());
    assert_eq!(full.unwrap().kind(), Kind::Conflict);
    let other = other_account(&world);
    sources::create(&world.engine, &other, None).expect("others have their own");
}

#[test]
fn bytes_that_are_kept_are_bounded() {
    let world = World::start();
    let large = Upload { bytes: 1024 * 1024 * 1024, ..upload('a') };
    let places: Vec<_> =
        (0..9).map(|_| sources::create(&world.engine, &world.admin, None).unwrap()).collect();
    for place in &places[..8] {
        put_upload(&world, place.put.expose(), &large).unwrap();
    }
    let refused = put_upload(&world, places[8].put.expose(), &large).unwrap_err();
    assert_eq!(refused.kind(), Kind::Conflict);
    assert!(refused.message().contains("8 uploads with 8192 MB"), "{refused}");
    assert_eq!(uploads(&world), 9, "the part is its writer's to remove");
    world.clock.advance_millis(2 * 60 * 60 * 1000);
    let later = sources::create(&world.engine, &world.admin, None).unwrap();
    put_upload(&world, later.put.expose(), &large).unwrap();
}

#[test]
fn who_may_build_nothing_uploads_nothing() {
    let world = World::start();
    let (_, app) = world.app("hello");
    let email = "guest@example.com".parse().unwrap();
    let token = accounts::create(&world.engine, &world.admin, &email, Role::None).unwrap();
    let guest = context(&world.engine, &token.secret);
    let place = || sources::create(&world.engine, &guest, None).map_err(|error| error.kind());
    assert_eq!(place().unwrap_err(), Kind::Forbidden);
    let person = PersonRef::new("guest@example.com");
    let share = |role| ops::collaborators::add(&world.engine, &world.admin, &app, &person, role).map(drop);
    share(Role::Viewer).unwrap();
    assert_eq!(place().unwrap_err(), Kind::Forbidden);
    share(Role::Operator).unwrap();
    place().unwrap();
}

#[test]
fn a_deploy_token_does_its_work_and_no_more() {
    let world = World::start();
    let ((id, app), (_, other)) = (world.app("hello"), world.app("other"));
    let wanted =
        |app: &AppRef| NewAuthorization { deploys: Some(app.clone()), ..NewAuthorization::default() };
    let token = accounts::create_authorization(&world.engine, &world.admin, wanted(&app)).unwrap();
    assert_eq!(token.authorization.description, "Deploys of hello");
    assert_eq!(token.authorization.deploys.as_ref().unwrap().as_str(), "hello");
    let machine = context(&world.engine, &token.secret);
    let place = sources::create(&world.engine, &machine, None).unwrap();
    assert_eq!(place.source.app, Some(id), "without an app it is the token's");
    let hidden = sources::create(&world.engine, &machine, Some(&other)).unwrap_err();
    assert_eq!((hidden.kind(), hidden.resource()), (Kind::NotFound, Some("app")));
    let build = crate::builds::new_id(&world.engine);
    std::fs::create_dir_all(crate::builds::source_folder(&world.engine, build)).unwrap();
    crate::builds::accept(&world.engine, &machine, &app, build, tree()).unwrap();
    assert!(matches!(world.built(build), BuildStatus::Succeeded { .. }), "it is released as its account");
    let config = ops::config::get(&world.engine, &machine, &app).unwrap_err();
    assert_eq!(config.kind(), Kind::Forbidden);
    assert!(config.hints()[0].contains("for deploying one app"), "{:?}", config.hints());
    let more = accounts::create_authorization(&world.engine, &machine, NewAuthorization::default());
    assert_eq!(more.unwrap_err().kind(), Kind::Forbidden);
    assert_eq!(ops::apps::list(&world.engine, &machine, ops::apps::AppScope::All).unwrap().len(), 1);
    let stranger = other_account(&world);
    let theirs = accounts::create_authorization(&world.engine, &stranger, wanted(&app)).unwrap_err();
    assert_eq!(theirs.resource(), Some("app"), "a token gives no more than its maker has");
    ops::apps::destroy(&world.engine, &world.admin, &app).unwrap();
    let gone = accounts::authenticate(&world.engine, &token.secret).unwrap_err();
    assert_eq!(gone.kind(), Kind::Unauthorised);
}

fn other_account(world: &World) -> Context {
    let email = "s@example.com".parse().unwrap();
    let token = accounts::create(&world.engine, &world.admin, &email, Role::Owner).unwrap();
    context(&world.engine, &token.secret)
}

#[test]
fn keys_belong_to_one_account() {
    let world = World::start();
    let stranger = other_account(&world);
    let key = ssh_keys::add(&world.engine, &world.admin, &format!("{PUBLIC_KEY} ada")).unwrap();
    assert_eq!(ssh_keys::add(&world.engine, &world.admin, PUBLIC_KEY).unwrap().id, key.id);
    assert_eq!(ssh_keys::add(&world.engine, &stranger, PUBLIC_KEY).unwrap_err().kind(), Kind::Invalid);
    assert!(ssh_keys::list(&world.engine, &stranger).unwrap().is_empty());
    assert_eq!(
        ssh_keys::remove(&world.engine, &stranger, &key.fingerprint).unwrap_err().kind(),
        Kind::NotFound
    );
    let known = ssh_keys::authenticate(&world.engine, &key.fingerprint).unwrap().unwrap();
    assert_eq!(known, world.admin.actor);
    ssh_keys::remove(&world.engine, &world.admin, &key.fingerprint).unwrap();
    assert_eq!(ssh_keys::authenticate(&world.engine, &key.fingerprint).unwrap(), None);
}

#[test]
fn a_trees_version_is_its_releases_name() {
    let world = World::start();
    let (id, app) = world.app("hello");
    world.push(&app, 1);
    let build = crate::builds::new_id(&world.engine);
    std::fs::create_dir_all(crate::builds::source_folder(&world.engine, build)).unwrap();
    let source = TreeSource { version: Some("2026-11".parse().unwrap()), ..TreeSource::default() };
    let source = BuildSource::Tree(source);
    crate::builds::accept(&world.engine, &world.admin, &app, build, source.clone()).unwrap();
    let BuildStatus::Succeeded { release, .. } = world.built(build) else { panic!("the build succeeds") };
    let release = world.ended(&app, &ReleaseRef::Id(release));
    assert_eq!(release.description, "Deploy 2026-11");
    let vars = world.engine.environment().environment(release.id, &web(release.id)).unwrap();
    let version = vars.iter().find(|(key, _)| key.as_str() == "SOURCE_VERSION").unwrap();
    assert_eq!(version.1.expose(), "2026-11");
    let info = ops::builds::info(&world.engine, &world.admin, &app, build).unwrap();
    assert_eq!(info.build.source, source);
    let deployed = crate::builds::deployed(&world.engine, id, &commit_of(1)).unwrap();
    assert_eq!(deployed, None, "the commit is not what serves any more");
    assert_eq!(crate::builds::newest_commit(&world.engine, id).unwrap(), Some(commit_of(1)));
}

#[test]
fn the_folder_to_build_is_a_config_var() {
    let world = World::start();
    let (id, app) = world.app("hello");
    let path =
        || crate::builds::project_path(&world.engine, id).map(|path| path.map(|path| path.to_string()));
    assert_eq!(path().unwrap(), None);
    world.set(&app, "PROJECT_PATH", Some("./services/web/")).unwrap();
    assert_eq!(path().unwrap().as_deref(), Some("services/web"));
    world.set(&app, "PROJECT_PATH", Some("../other")).unwrap();
    assert_eq!(path().unwrap_err().kind(), Kind::Invalid);
    assert_eq!(Action::from_name("source:create"), Some(Action::SourceCreate));
}

fn web(release: domain::ids::ReleaseId) -> Purpose {
    Purpose::Slot { release, process_type: "web".parse().unwrap(), index: 1 }
}
