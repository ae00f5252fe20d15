//! Closing a port without resetting anybody: a client that has connected may have sent its request, so it is served; one that has not
//! finds nobody.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

/// Handshakes that have begun have so long to end: a client's round trip.
const UNDER_WAY: Duration = Duration::from_millis(200);
/// More than the queue of a listening socket holds; where newcomers can't be kept out, it could refill for ever.
const MOST_QUEUED: usize = 4096;
/// After a failure to accept, as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// Keeps newcomers out, hands over every client that has connected, and closes the port.
pub(crate) async fn close(listener: TcpListener, mut take: impl FnMut(TcpStream, SocketAddr)) {
    if let Err(error) = refuse_newcomers(&listener) {
        tracing::debug!(%error, "newcomers can't be kept out while the port closes");
    }
    let accept = async {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => take(stream, peer),
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    };
    let _: Result<(), _> = tokio::time::timeout(UNDER_WAY, accept).await;
    // Asks the system itself: tokio hears of connections a little later.
    let Ok(listener) = listener.into_std() else { return };
    for _ in 0..MOST_QUEUED {
        match listener.accept() {
            Ok((stream, peer)) => {
                let adopted = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
                if let Ok(stream) = adopted {
                    take(stream, peer);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(_) => return,
        }
    }
}

/// From now on the socket does not hear of new connections; those that have begun go on. A client left without an answer tries again
/// within a second, and is refused by then.
#[cfg(target_os = "linux")]
fn refuse_newcomers(listener: &TcpListener) -> io::Result<()> {
    use socket2::{SockFilter, SockRef};

    // Classic BPF over the TCP header: load its flags, drop what has SYN, keep the rest.
    const LOAD_BYTE: u16 = 0x30;
    const JUMP_IF_SET: u16 = 0x45;
    const RETURN: u16 = 0x06;
    const FLAGS_OFFSET: u32 = 13;
    const SYN: u32 = 0x02;
    SockRef::from(listener).attach_filter(&[
        SockFilter::new(LOAD_BYTE, 0, 0, FLAGS_OFFSET),
        SockFilter::new(JUMP_IF_SET, 0, 1, SYN),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ])
}

#[cfg(not(target_os = "linux"))]
fn refuse_newcomers(_listener: &TcpListener) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
