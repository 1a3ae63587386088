//! Requests about people: accounts, those with whom an app is shared, access tokens.

use super::url::path;
use super::{Client, ClientError};
use crate::collaborator::{Collaborator, CreateCollaborator};
use crate::dozen::account::{AccountEntry, CreateAccount, CreatedAccount};
use crate::dyno::Empty;
use crate::oauth::{Authorization, UpdateAuthorization};

impl Client {
    pub fn accounts(&self) -> Result<Vec<AccountEntry>, ClientError> {
        self.get_all("/dozen/accounts")
    }

    pub fn create_account(&self, request: &CreateAccount) -> Result<CreatedAccount, ClientError> {
        self.post("/dozen/accounts", request)
    }

    /// `account` is an address or an id.
    pub fn create_account_token(&self, account: &str) -> Result<CreatedAccount, ClientError> {
        self.post(&path(["dozen", "accounts", account, "tokens"]), &Empty {})
    }

    pub fn collaborators(&self, app: &str) -> Result<Vec<Collaborator>, ClientError> {
        self.get_all(&path(["apps", app, "collaborators"]))
    }

    pub fn add_collaborator(
        &self,
        app: &str,
        request: &CreateCollaborator,
    ) -> Result<Collaborator, ClientError> {
        self.post(&path(["apps", app, "collaborators"]), request)
    }

    /// `person` is an address or an id.
    pub fn remove_collaborator(&self, app: &str, person: &str) -> Result<Collaborator, ClientError> {
        self.delete(&path(["apps", app, "collaborators", person]))
    }

    pub fn authorizations(&self) -> Result<Vec<Authorization>, ClientError> {
        self.get_all("/oauth/authorizations")
    }

    /// `token` is an id, or `~` for the one in use.
    pub fn authorization(&self, token: &str) -> Result<Authorization, ClientError> {
        self.get(&path(["oauth", "authorizations", token]))
    }

    pub fn update_authorization(
        &self,
        token: &str,
        request: &UpdateAuthorization,
    ) -> Result<Authorization, ClientError> {
        self.patch(&path(["oauth", "authorizations", token]), request)
    }

    pub fn rotate_authorization(&self, token: &str) -> Result<Authorization, ClientError> {
        self.post(&path(["oauth", "authorizations", token, "actions", "regenerate-tokens"]), &Empty {})
    }

    pub fn revoke_authorization(&self, token: &str) -> Result<Authorization, ClientError> {
        self.delete(&path(["oauth", "authorizations", token]))
    }
}
