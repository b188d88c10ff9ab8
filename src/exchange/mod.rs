//! One request on its way to its response: the values, the plugs and the runner.
//!
//! An [`Exchange`] holds a [`Request`], the [`VirtualHost`] and [`Location`] chosen for it,
//! and what is noted for the access log. The [`runner`] walks it through the phases, asking
//! [`Handler`]s until one answers, sends the answer through [`Filter`]s, and leaves framing
//! to the protocol that carried the request.

mod access;
mod amount;
mod body;
mod compression;
mod connection;
mod context;
mod core;
mod location;
mod paths;
mod plugs;
mod redirect;
mod request;
mod request_body;
mod response;
mod runtime;
mod server;
mod subrequest;
mod template;
mod transform;
mod variable;
mod zone;

pub mod counters;
pub mod pages;
pub mod runner;

pub use self::amount::Amount;
pub use self::body::{Body, FileBody, Piece, ResponseStream};
pub use self::compression::{Compression, Proxied};
pub use self::connection::Connection;
pub use self::context::{Exchange, Moment, RequestLog, Sent};
pub use self::core::{
    Alias, BodyInFile, Core, ErrorPage, IfModifiedSince, KeepaliveDisable, LingeringClose, Satisfy,
    ServerTokens, TempPath,
};
pub use self::location::{Location, LocationKind, MethodLimit};
pub use self::paths::{FilePath, Unmapped};
pub use self::plugs::{Filter, Handler, LocalBoxFuture, Logger, Phase, Step, Target};
pub use self::request::Request;
pub use self::request_body::{
    BodyError, BodySource, BufferedBody, RequestBody, TempFile, subfolders,
};
pub use self::response::{Extras, Rare, Response};
pub use self::runtime::{
    CpuAffinity, EventSettings, Identity, Listener, ListeningSocket, ProcessSettings, Runtime,
};
pub use self::server::{ServerSettings, VirtualHost};
pub use self::template::{BadTemplate, Template};
pub use self::transform::{BodyReader, Transform};
pub use self::variable::{Evaluate, Get, Names, Setter, Variable, VariableRef};
pub use self::zone::{Key, Place, Purpose, Table, Zone, Zones};
