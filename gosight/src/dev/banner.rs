//! What a person sees when everything runs.

use std::net::SocketAddr;
use std::path::Path;

use super::KEYS;
use super::ports::Addresses;

/// Prints the addresses and a first event to paste.
#[allow(clippy::print_stdout, reason = "a command speaks to a person")]
pub(super) fn print(addresses: &Addresses, console: SocketAddr, token: &str, data: &Path) {
    let Addresses { http, grpc, admin } = addresses;
    let [key, other] = KEYS;
    let data = data.display();
    // As it was typed: after `make run` it stands on nobody's path.
    let program = std::env::args().next().unwrap_or_else(|| "gosight".to_owned());
    println!(
        "GoSight Ingest runs.

  HTTP, gRPC-Web   http://{http}
  gRPC             {grpc}
  console          http://{console}  (token for changes: {token})
  admin            http://{admin}/ready  http://{admin}/metrics
  data             {data}
  keys             {key}, {other}

Send an event:

  curl -s http://{http}/v1/events -H 'Content-Type: application/json' -d '{{\"project_key\":\"{key}\",\
\"session_id\":\"sess-1\",\"events\":[{{\"type\":\"page_view\",\"timestamp\":'$(date +%s000)',\
\"page\":{{\"url\":\"https://shop.example/\",\"path\":\"/\",\"title\":\"Home\"}}}}]}}'

See it enriched:

  {program} tail --data {data} --from start

Ctrl-C stops it; the next start goes on where it was."
    );
}
