//! Heroku's router codes: what each is called in the access line and which status the client gets. A closed list; what is not
//! here does not happen.

/// Why a request was not simply answered by a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// Every web process has crashed.
    H10,
    /// Too many requests wait for the app.
    H11,
    /// No first byte in time.
    H12,
    /// The process accepted, then closed without a byte.
    H13,
    /// No web processes.
    H14,
    /// The process sent nothing for too long in the middle of a response.
    H15,
    /// What the process sent is not HTTP.
    H17,
    /// The process closed in the middle of a request or response.
    H18,
    /// The process did not accept a connection in time.
    H19,
    /// No process was up in time.
    H20,
    /// The process refused the connection.
    H21,
    /// The router ended before the request did.
    H24,
    /// A response that could be risky to pass on.
    H25(Restriction),
    /// A request that is not proper HTTP, or asks for what we do not do.
    H26(RequestFault),
    /// The client went away.
    H27,
    /// The client sent or took nothing for too long.
    H28,
    /// Maintenance mode.
    H80,
    /// Nothing was ever deployed.
    H81,
    /// Our own fault.
    H99,
}

/// What is wrong with a response (H25).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Restriction {
    InvalidContentLength,
    OversizedHeader,
}

/// What is wrong with a request (H26).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RequestFault {
    /// The request line cannot be read, or its target has a form that a router does not take.
    BadRequestLine,
    BadHeader,
    /// A header or the whole head is larger than we take.
    OversizedHeader,
    /// Two ways to tell the body's length, or one that is not exact.
    AmbiguousLength,
    BadHost,
    BadChunk,
    UnsupportedExpect,
    /// CONNECT.
    UnsupportedMethod,
    UnsupportedVersion,
}

/// `at=` in the access line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    Info,
    Warning,
    Error,
}

impl Severity {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Everything about a code that is not its variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeFacts {
    pub name: &'static str,
    pub description: &'static str,
    pub severity: Severity,
    /// What the client gets, if it can still be told; logged in any case. `None` is logged as an empty field.
    pub status: Option<u16>,
    /// Which end closed: `sock=`.
    pub socket: Option<&'static str>,
    pub cause: Option<&'static str>,
}

const fn facts(name: &'static str, description: &'static str) -> CodeFacts {
    CodeFacts { name, description, severity: Severity::Error, status: Some(503), socket: None, cause: None }
}

impl Code {
    pub const fn facts(self) -> CodeFacts {
        match self {
            Self::H10 => facts("H10", "App crashed"),
            Self::H11 => facts("H11", "Backlog too deep"),
            Self::H12 => facts("H12", "Request timeout"),
            Self::H13 => facts("H13", "Connection closed without response"),
            Self::H14 => facts("H14", "No web processes running"),
            Self::H15 => facts("H15", "Idle connection"),
            Self::H17 => facts("H17", "Poorly formatted HTTP response"),
            Self::H18 => CodeFacts { socket: Some("backend"), ..facts("H18", "Server Request Interrupted") },
            Self::H19 => facts("H19", "Backend connection timeout"),
            Self::H20 => facts("H20", "App boot timeout"),
            Self::H21 => facts("H21", "Backend connection refused"),
            Self::H24 => CodeFacts { status: None, ..facts("H24", "Forced close") },
            Self::H25(restriction) => {
                CodeFacts { status: Some(502), ..facts("H25", restriction.description()) }
            }
            Self::H26(fault) => CodeFacts {
                status: Some(fault.status()),
                cause: Some(fault.cause()),
                ..facts("H26", "Request Error")
            },
            Self::H27 => CodeFacts {
                severity: Severity::Warning,
                status: Some(499),
                socket: Some("client"),
                ..facts("H27", "Client Request Interrupted")
            },
            Self::H28 => CodeFacts {
                severity: Severity::Warning,
                status: Some(499),
                ..facts("H28", "Client Connection Idle")
            },
            Self::H80 => CodeFacts { severity: Severity::Info, ..facts("H80", "Maintenance mode") },
            Self::H81 => {
                CodeFacts { severity: Severity::Info, status: Some(502), ..facts("H81", "Blank app") }
            }
            Self::H99 => facts("H99", "Platform error"),
        }
    }
}

impl Restriction {
    const fn description(self) -> &'static str {
        match self {
            Self::InvalidContentLength => "HTTP restriction: invalid content length",
            Self::OversizedHeader => "HTTP restriction: oversized header",
        }
    }
}

impl RequestFault {
    pub const fn status(self) -> u16 {
        match self {
            Self::UnsupportedExpect => 417,
            Self::UnsupportedMethod => 405,
            Self::UnsupportedVersion => 505,
            Self::BadRequestLine
            | Self::BadHeader
            | Self::OversizedHeader
            | Self::AmbiguousLength
            | Self::BadHost
            | Self::BadChunk => 400,
        }
    }

    /// Heroku's wording where it has one.
    pub const fn cause(self) -> &'static str {
        match self {
            Self::BadRequestLine => "bad request line",
            Self::BadHeader => "bad header",
            Self::OversizedHeader => "oversized header",
            Self::AmbiguousLength => "ambiguous content length",
            Self::BadHost => "bad host",
            Self::BadChunk => "bad chunk",
            Self::UnsupportedExpect => "unsupported expect header value",
            Self::UnsupportedMethod => "unsupported method",
            Self::UnsupportedVersion => "unsupported version",
        }
    }
}
