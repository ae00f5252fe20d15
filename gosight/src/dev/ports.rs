//! The three ports, bound before anything else happens.

use std::net::{IpAddr, SocketAddr};

use tokio::net::TcpListener;

use super::DevArguments;
use crate::failure::Failure;

/// Bound, not yet served.
#[derive(Debug)]
pub(super) struct Ports {
    pub(super) http: TcpListener,
    pub(super) grpc: TcpListener,
    pub(super) admin: TcpListener,
    addresses: Addresses,
}

/// Where they are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Addresses {
    pub(super) http: SocketAddr,
    pub(super) grpc: SocketAddr,
    pub(super) admin: SocketAddr,
}

impl Ports {
    /// Where they are, also where port 0 was asked for.
    pub(super) fn addresses(&self) -> Addresses {
        self.addresses
    }
}

/// Binds all three, or says which one is taken.
pub(super) async fn bind(arguments: &DevArguments) -> Result<Ports, Failure> {
    let (http, http_address) = bind_one(arguments.host, arguments.http_port, "--http-port").await?;
    let (grpc, grpc_address) = bind_one(arguments.host, arguments.grpc_port, "--grpc-port").await?;
    let (admin, admin_address) = bind_one(arguments.host, arguments.admin_port, "--admin-port").await?;
    Ok(Ports {
        http,
        grpc,
        admin,
        addresses: Addresses {
            http: http_address,
            grpc: grpc_address,
            admin: admin_address,
        },
    })
}

async fn bind_one(host: IpAddr, port: u16, argument: &str) -> Result<(TcpListener, SocketAddr), Failure> {
    let address = SocketAddr::new(host, port);
    let bound = async {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    bound.await.map_err(|error: std::io::Error| {
        Failure::unavailable(format!(
            "cannot listen on {address}: {error}; choose another port with {argument}"
        ))
    })
}
