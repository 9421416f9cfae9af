//! The transports of a cluster's nodes.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::remote::Remote;
use super::responder::Responder;
use super::ssh2::{Gates, Ssh2};
use super::system_ssh::SystemSsh;
use super::{LocalTransport, Transport, TransportError};
use crate::base::NodeName;
use crate::plan::Access;

/// What holds for all ssh connections.
#[derive(Clone, Default)]
pub struct SshSettings {
    /// The configuration to read, as with `ssh -F`. Default: the user's and the site's.
    pub config: Option<PathBuf>,
    /// Who answers what hosts ask at the login. Default: nobody; such hosts are refused.
    pub responder: Option<Arc<dyn Responder>>,
}

/// How commands reach each node. Nodes of the same access share one transport, and so one connection.
#[derive(Clone, Default)]
pub struct Transports {
    nodes: BTreeMap<NodeName, Arc<dyn Transport>>,
}

impl Transports {
    /// Makes the transports; nothing is connected before something is asked.
    ///
    /// # Errors
    /// [`TransportError::Start`] if a thread cannot be started.
    pub fn new(
        nodes: impl IntoIterator<Item = (NodeName, Access)>,
        settings: &SshSettings,
    ) -> Result<Self, TransportError> {
        let gates = Gates::default();
        let mut made: BTreeMap<Access, Arc<dyn Transport>> = BTreeMap::new();
        let mut all = Self::default();
        for (node, access) in nodes {
            let transport = match made.get(&access) {
                Some(transport) => Arc::clone(transport),
                None => make(&access, settings, &gates)?,
            };
            made.insert(access, Arc::clone(&transport));
            all.nodes.insert(node, transport);
        }
        Ok(all)
    }

    /// The transport of a node; none if the node was not among those that were named.
    pub fn of(&self, node: &NodeName) -> Option<&Arc<dyn Transport>> {
        self.nodes.get(node)
    }
}

fn make(
    access: &Access,
    settings: &SshSettings,
    gates: &Gates,
) -> Result<Arc<dyn Transport>, TransportError> {
    Ok(match access {
        Access::Local => Arc::new(LocalTransport),
        Access::Ssh2(target) => {
            let ssh2 = Ssh2::new(target.clone(), settings, gates);
            Arc::new(Remote(ssh2.map_err(|source| TransportError::Start {
                program: format!("ssh to {}", target.host),
                node: None,
                source,
            })?))
        }
        Access::SystemSsh(target) => Arc::new(Remote(SystemSsh::new(target.clone(), settings))),
    })
}

impl fmt::Debug for SshSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SshSettings")
            .field("config", &self.config)
            .field("responder", &self.responder.is_some())
            .finish()
    }
}

impl fmt::Debug for Transports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.nodes.keys()).finish()
    }
}
