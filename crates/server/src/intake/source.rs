//! What the address of a build's source means: an upload of ours, a commit of the app's repository, or a file somewhere else.

use crate::http::blocking;
use crate::http::error::Refusal;
use crate::http::origin::Origin;
use crate::secrets::is_secret_shape;
use crate::state::State;
use api::error::ErrorId;
use domain::app::App;
use domain::build::short_commit;
use domain::ids::SourceId;
use domain::names::{CommitId, SourceChecksum, SourceVersion};
use engine::ops::sources::{self, Upload};

/// What somebody asks to have built.
#[derive(Debug, Clone)]
pub struct Named {
    pub address: String,
    pub version: Option<SourceVersion>,
    pub checksum: Option<SourceChecksum>,
}

/// Where the tree comes from.
#[derive(Debug)]
pub enum SourceAddress {
    Upload { id: SourceId, upload: Upload },
    Commit(CommitId),
    Elsewhere(String),
}

/// Finds out what an address means. An address of ours is never asked like a stranger's.
pub async fn find(
    state: &State,
    origin: &Origin,
    app: &App,
    named: &Named,
) -> Result<SourceAddress, Refusal> {
    if let Some(secret) = upload_secret(&named.address)
        && let Some(found) = find_upload(state, app, secret).await?
    {
        return Ok(found);
    }
    match own_path(&named.address, origin, &state.settings.names) {
        None => Ok(SourceAddress::Elsewhere(named.address.clone())),
        Some(path) if is_repository(path, app) => find_commit(state, app, named).await,
        Some(_) => Err(Refusal::new(
            ErrorId::InvalidParams,
            format!("The source's address is on this server, but it is no upload that is open, nor the repository of {}.", app.name),
        )
        .with_hint("An upload is open for two hours: ask for a new one with POST /sources.")),
    }
}

/// The last part of an address that has the form of an upload's, on whatever host: a forwarder may have given it another name.
fn upload_secret(address: &str) -> Option<&str> {
    let path = address.strip_prefix("https://")?.split_once('/')?.1;
    path.strip_prefix("uploads/").filter(|secret| is_secret_shape(secret.as_bytes()))
}

async fn find_upload(state: &State, app: &App, secret: &str) -> Result<Option<SourceAddress>, Refusal> {
    let (engine, secret) = (state.engine.clone(), secret.to_owned());
    let Some(source) = blocking(move || sources::to_read(&engine, &secret)).await? else { return Ok(None) };
    let refused = |message: String| Err(Refusal::new(ErrorId::InvalidParams, message));
    if source.app.is_some_and(|own| own != app.id) {
        return refused(format!("This upload is for another app than {}.", app.name));
    }
    match source.upload {
        Some(upload) => Ok(Some(SourceAddress::Upload { id: source.id, upload })),
        None => refused("Nothing was uploaded here yet: send the archive to its put_url first.".to_owned()),
    }
}

/// The path of an address on this server, by the name under which the client came or any other of ours.
fn own_path<'a>(address: &'a str, origin: &Origin, names: &[String]) -> Option<&'a str> {
    let rest = address.strip_prefix("https://")?;
    let at = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(at);
    let same = origin.is(authority) || names.iter().any(|name| origin.with_host(name).is(authority));
    same.then_some(path)
}

fn is_repository(path: &str, app: &App) -> bool {
    let name = path.strip_prefix('/').and_then(|path| path.strip_suffix(".git"));
    name.is_some_and(|name| name == app.name.as_str() || name == app.id.to_string())
}

async fn find_commit(state: &State, app: &App, named: &Named) -> Result<SourceAddress, Refusal> {
    let (repositories, id) = (state.repositories.clone(), app.id);
    let name = named.version.as_ref().map_or("HEAD", SourceVersion::as_str).to_owned();
    let asked = name.clone();
    let found = blocking(move || {
        let unusable =
            |error| engine::Error::unavailable("The repository cannot be used.").with_source(error);
        repositories.ensure(id).map_err(unusable)?;
        repositories.resolve(id, &asked).map_err(unusable)
    });
    let unknown = || {
        let hint = match name.parse::<CommitId>() {
            Ok(commit) => format!("Push it first: git push REMOTE {}:main", short_commit(&commit)),
            Err(_) => "Name it by its id (8 digits do), or by a branch or tag that was pushed.".to_owned(),
        };
        Refusal::not_found("commit", format!("The repository of {} has no commit \"{name}\".", app.name))
            .with_hint(hint)
    };
    found.await?.map(SourceAddress::Commit).ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_addresses_are_known() {
        let origin = Origin::new("paas.example:8443");
        let names = ["other.example".to_owned()];
        for (address, expected) in [
            ("https://paas.example:8443/hello.git", Some("/hello.git")),
            ("https://OTHER.example:8443/x?y", Some("/x?y")),
            ("https://other.example/x", None),
            ("https://paas.example:8443", Some("")),
            ("https://paas.example:1/hello.git", None),
            ("https://evil.example/paas.example:8443/hello.git", None),
            ("http://paas.example:8443/hello.git", None),
        ] {
            assert_eq!(own_path(address, &origin, &names), expected, "{address}");
        }
        let secret = "a".repeat(64);
        assert_eq!(upload_secret(&format!("https://x/uploads/{secret}")), Some(secret.as_str()));
        for no in [
            "https://x/uploads/short".to_owned(),
            format!("https://x/y/uploads/{secret}"),
            format!("http://x/uploads/{secret}"),
        ] {
            assert_eq!(upload_secret(&no), None, "{no}");
        }
    }
}
