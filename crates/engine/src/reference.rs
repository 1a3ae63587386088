//! How requests name things: by id, by name or by number. Making a reference never fails; looking it up may.

use domain::account::{AccountRef, Email};
use domain::ids::{AccountId, AppId, JobId, ProcessId, ReleaseId, TokenId};
use domain::names::{AppName, ProcessType, ReleaseVersion};
use uuid::Uuid;

/// An app by uuid or name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppRef {
    Id(AppId),
    Name(AppName),
    /// Neither: no app is called so.
    Unknown,
}

impl AppRef {
    pub fn new(text: &str) -> Self {
        match (text.parse(), text.parse()) {
            (Ok(id), _) => Self::Id(id),
            (Err(_), Ok(name)) => Self::Name(name),
            (Err(_), Err(_)) => Self::Unknown,
        }
    }
}

impl From<AppId> for AppRef {
    fn from(id: AppId) -> Self {
        Self::Id(id)
    }
}

impl From<&AppName> for AppRef {
    fn from(name: &AppName) -> Self {
        Self::Name(name.clone())
    }
}

/// A release by uuid, number (`3`, `v3`), or place (`current`, `head`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReleaseRef {
    Id(ReleaseId),
    Version(ReleaseVersion),
    Current,
    Head,
    Unknown,
}

impl ReleaseRef {
    pub fn new(text: &str) -> Self {
        let digits = text.strip_prefix('v').unwrap_or(text);
        match text {
            "current" => Self::Current,
            "head" => Self::Head,
            _ if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().map_or(Self::Unknown, |number| Self::Version(ReleaseVersion(number)))
            }
            _ => text.parse().map_or(Self::Unknown, Self::Id),
        }
    }
}

impl From<ReleaseId> for ReleaseRef {
    fn from(id: ReleaseId) -> Self {
        Self::Id(id)
    }
}

/// A process or job by uuid or display name (`web.1`, `run.12`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProcessRef {
    Id(Uuid),
    Name { process_type: ProcessType, number: u32 },
    Unknown,
}

impl ProcessRef {
    pub fn new(text: &str) -> Self {
        if let Ok(id) = text.parse::<ProcessId>() {
            return Self::Id(*id.as_uuid());
        }
        let parts =
            text.rsplit_once('.').and_then(|(name, number)| Some((name.parse().ok()?, number.parse().ok()?)));
        parts.map_or(Self::Unknown, |(process_type, number)| Self::Name { process_type, number })
    }
}

impl From<ProcessId> for ProcessRef {
    fn from(id: ProcessId) -> Self {
        Self::Id(*id.as_uuid())
    }
}

impl From<JobId> for ProcessRef {
    fn from(id: JobId) -> Self {
        Self::Id(*id.as_uuid())
    }
}

/// An account by uuid or address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PersonRef {
    Id(AccountId),
    Email(Email),
    /// Neither: nobody is called so.
    Unknown,
}

impl PersonRef {
    pub fn new(text: &str) -> Self {
        match (text.parse(), text.parse()) {
            (Ok(id), _) => Self::Id(id),
            (Err(_), Ok(email)) => Self::Email(email),
            (Err(_), Err(_)) => Self::Unknown,
        }
    }

    /// Whether it names this account.
    pub fn is(&self, account: &AccountRef) -> bool {
        match self {
            Self::Id(id) => *id == account.id,
            Self::Email(email) => *email == account.email,
            Self::Unknown => false,
        }
    }
}

/// A token by uuid, or the one that the request was made with (`~`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenRef {
    Id(TokenId),
    Own,
    Unknown,
}

impl TokenRef {
    pub fn new(text: &str) -> Self {
        match text {
            "~" => Self::Own,
            _ => text.parse().map_or(Self::Unknown, Self::Id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form() {
        let id = "01234567-89ab-4cde-8f01-23456789abcd";
        assert!(matches!(AppRef::new(id), AppRef::Id(_)));
        assert!(matches!(AppRef::new("hello"), AppRef::Name(_)));
        assert_eq!(AppRef::new("../x"), AppRef::Unknown);
        for (text, expected) in [
            ("3", ReleaseRef::Version(ReleaseVersion(3))),
            ("v12", ReleaseRef::Version(ReleaseVersion(12))),
            ("current", ReleaseRef::Current),
            ("head", ReleaseRef::Head),
            ("", ReleaseRef::Unknown),
            ("v", ReleaseRef::Unknown),
            ("vv1", ReleaseRef::Unknown),
            ("99999999999999999999", ReleaseRef::Unknown),
        ] {
            assert_eq!(ReleaseRef::new(text), expected, "{text:?}");
        }
        assert!(matches!(ReleaseRef::new(id), ReleaseRef::Id(_)));
        let web = ProcessRef::Name { process_type: "web".parse().unwrap(), number: 1 };
        assert_eq!(ProcessRef::new("web.1"), web);
        assert_eq!(
            [ProcessRef::new("web"), ProcessRef::new("web.x")],
            [ProcessRef::Unknown, ProcessRef::Unknown]
        );
        assert_eq!(TokenRef::new("~"), TokenRef::Own);
        assert!(matches!(PersonRef::new(id), PersonRef::Id(_)));
        assert_eq!(PersonRef::new("Ada@Example.com"), PersonRef::Email("ada@example.com".parse().unwrap()));
        assert_eq!(PersonRef::new("ada"), PersonRef::Unknown);
    }
}
