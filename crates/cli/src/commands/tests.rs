//! The shape of the command line: its list, Heroku's forms, mistyped verbs.

use super::*;

#[test]
fn the_definition_is_sound() {
    definition().debug_assert();
}

#[test]
fn the_list_of_commands() {
    insta::assert_snapshot!(definition().term_width(100).render_help().to_string());
}

/// Verbs and flags as people who come from Heroku type them.
#[test]
fn herokus_forms_are_understood() {
    for line in [
        "create",
        "create hello",
        "apps:create hello --json",
        "apps",
        "apps --json",
        "info -a hello",
        "destroy -a hello --confirm hello",
        "apps:destroy hello --confirm hello",
        "config -a hello",
        "config -s",
        "config:set A=1 B=2 -a hello",
        "config:get A -a hello",
        "config:unset A B",
        "ps",
        "ps:scale",
        "ps:scale web=2 worker=+1",
        "scale web=2",
        "ps:restart",
        "restart web.1",
        "releases -n 5",
        "releases:info v3",
        "releases:output",
        "rollback",
        "rollback v2",
        "releases:rollback 2",
        "logs -t",
        "logs --tail -n 10 --source app",
        "logs -d web.1",
        "logs --dyno-name web.1",
        "logs --ps web",
        "logs -p web",
        "run -a hello -- ls -l",
        "run -x -a hello exit 3",
        "run --no-tty bash",
        "run:detached -a hello worker",
        "git:remote -a hello",
        "heroku -- ps:scale web=2 -a hello",
        "heroku run -x -a hello -- ls -l",
        "builds",
        "builds:info",
        "builds:output abc",
        "builds:cancel abc",
        "rename hallo -a hello",
        "apps:rename hallo",
        "open",
        "open /login -a hello",
        "maintenance -a hello",
        "maintenance:on",
        "maintenance:off",
        "domains",
        "domains --json",
        "domains:add www.example.com",
        "domains:add *.example.com --wait",
        "domains:wait",
        "domains:wait www.example.com",
        "domains:info www.example.com",
        "domains:remove www.example.com",
        "domains:clear",
        "buildpacks",
        "buildpacks:set heroku/python",
        "buildpacks:set -i 2 heroku/python",
        "buildpacks:add --index 1 heroku/nodejs",
        "buildpacks:remove heroku/python",
        "buildpacks:remove -i 1",
        "buildpacks:clear",
        "features",
        "features:info preboot",
        "features:enable preboot",
        "features:disable preboot",
        "stack",
        "stack:set heroku-24",
        "regions",
        "access",
        "access:add bob@example.com",
        "access:add bob@example.com -p deploy,view",
        "access:update bob@example.com --permissions view",
        "access:remove bob@example.com",
        "authorizations",
        "authorizations:create -d ci -e 3600 -S",
        "authorizations:create --description ci --scope global --short",
        "authorizations:info 01234567-89ab-4cde-8f01-23456789abcd",
        "authorizations:revoke 01234567-89ab-4cde-8f01-23456789abcd",
        "authorizations:rotate 01234567-89ab-4cde-8f01-23456789abcd",
        "authorizations:update 01234567-89ab-4cde-8f01-23456789abcd -d ci",
        "ps:stop web.1",
        "ps:stop -d web.1",
        "ps:stop --process-type web",
        "ps:usage",
        "ps:usage web --json",
        "ps:type",
        "ps:type web=standard-2x",
        "ps:type standard-1x",
        "ps:resize web=basic",
        "ps:wait",
        "ps:wait -t web -w 1 -R",
        "git:clone -a hello",
        "git:clone folder -a hello -r live",
        "builds:create --commit 01234567 -a hello",
        "builds:create --source-url https://x.example/y.tgz --version v1",
        "deploy",
        "deploy web -a hello --version v1 --json",
        "keys",
        "keys:add ~/.ssh/id.pub",
        "keys:remove ada@example.com",
        "keys:clear",
        "tokens:create --deploy -a hello --expires-in 30d",
        "doctor",
        "login -i",
        "login --token-stdin",
        "whoami",
        "version",
    ] {
        let words = std::iter::once("dozen").chain(line.split(' '));
        assert!(
            Arguments::try_parse_from(words.clone()).is_ok(),
            "{line}: {:?}",
            Arguments::try_parse_from(words).err()
        );
    }
}

#[test]
fn a_mistyped_verb_is_answered_with_the_near_one() {
    insta::assert_snapshot!(unknown_command("config:sett").render(Style::Plain), @r"
    error: there is no command config:sett
    hint: Did you mean config:set?
    ");
    assert!(unknown_command("frobnicate").render(Style::Plain).contains("dozen --help"));
}
