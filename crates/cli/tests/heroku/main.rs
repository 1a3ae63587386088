//! What people have for Heroku, unmodified, against a real server: its command line, its library for node, one for Python. Each test
//! starts one server and goes through a day's work, since every command of the client takes a second or two of processor time.
//!
//! The versions stand in the lockfiles beside this file. The network namespace of the test has nothing but loopback.

mod apps;
mod attached;
mod belongings;
mod git;
mod libraries;
mod login;
mod logs;
mod processes;
mod releases;
#[path = "../support/mod.rs"]
mod support;
mod through_dozen;

use support::heroku::{Heroku, clients};
use support::server::Server;

#[test]
fn a_team_at_work() {
    let Some(clients) = clients() else { return };
    let server = Server::start();
    let mut heroku = Heroku::at(&server, &clients);
    apps::are_created_and_shown(&heroku, &server);
    let repository = git::pushes_with_the_clients_credentials(&mut heroku, &server);
    processes::are_scaled_restarted_and_stopped(&heroku, &server);
    releases::follow_config_and_rollbacks(&heroku, &server);
    git::knows_the_app_by_its_remote(&heroku, &repository);
    belongings::of_an_app(&heroku, &server);
    belongings::of_a_person(&heroku);
    apps::are_renamed_and_destroyed(&heroku);
}

#[test]
fn a_login_and_its_end() {
    let Some(clients) = clients() else { return };
    let server = Server::start();
    login::is_by_email_and_token(&server, &clients);
}

#[test]
fn processes_that_one_talks_to_and_logs_that_one_reads() {
    let Some(clients) = clients() else { return };
    let server = Server::start();
    let heroku = Heroku::at(&server, &clients);
    let _repository = git::deploy_the_probe(&server, "hello");
    attached::a_shell_has_a_terminal(&heroku);
    attached::exit_codes_come_back(&heroku);
    attached::a_pipe_is_no_terminal(&heroku);
    attached::detached_ones_write_to_the_log(&heroku);
    attached::ours_has_a_terminal_too(&server);
    logs::are_read_filtered_and_followed(&heroku, &server);
}

#[test]
fn programs_that_use_the_libraries() {
    let Some(clients) = clients() else { return };
    let server = Server::start();
    let _repository = git::deploy_the_probe(&server, "library");
    libraries::drive_an_app(&Heroku::at(&server, &clients), &server);
}

#[test]
fn the_client_through_ours_at_a_server_elsewhere() {
    let Some(clients) = clients() else { return };
    if support::ordinary::needs_root("to give this machine another address and another table of hosts") {
        return;
    }
    let server = through_dozen::server();
    let mut elsewhere = through_dozen::Elsewhere::new(&server, &clients);
    through_dozen::the_client_reaches_a_server_elsewhere(&mut elsewhere);
    through_dozen::nothing_goes_to_herokus_hosts(&elsewhere);
    through_dozen::a_missing_client_is_told_of(&elsewhere);
}
