//! `health`: what the health check of a container runs, whose image has no shell and no curl. It asks this service's own
//! `/readyz`, where `OPS_ADDR` says.

use std::{
    env,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    process::ExitCode,
    time::Duration,
};

use http_body_util::{BodyExt, Empty};
use hyper::{Request, body::Bytes, client::conn::http1, header::HOST};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// `/readyz` answers within this: its two questions to the database may take a second each.
const DEADLINE: Duration = Duration::from_secs(3);

/// Whether the command line of this process is `health`.
pub(crate) fn is_asked_for() -> bool {
    let mut arguments = env::args_os().skip(1);
    arguments.next().is_some_and(|first| first == "health") && arguments.next().is_none()
}

/// Exit code 0 when the service is ready; 1 with one line that says why when it is not; 64 when `OPS_ADDR` is no address.
pub(crate) fn ask() -> ExitCode {
    let Some(address) = env::var("OPS_ADDR").ok().and_then(|address| address.parse().ok()) else {
        eprintln!("OPS_ADDR is not set to an address like 127.0.0.1:9052, and the service is asked there");
        return ExitCode::from(64);
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("starting the async runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let answer = runtime.block_on(async { tokio::time::timeout(DEADLINE, readyz(reachable(address))).await });
    match answer {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(why)) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
        Err(_) => {
            eprintln!("{address} did not answer in {DEADLINE:?}");
            ExitCode::FAILURE
        }
    }
}

/// Who listens everywhere is asked on loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Fails with the reason, in one line.
async fn readyz(address: SocketAddr) -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| format!("{address} does not answer: {error}");
    let stream = TcpStream::connect(address).await.map_err(|error| failed(&error))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
    // ends with the process
    tokio::spawn(connection);
    let question = Request::get("/readyz").header(HOST, address.to_string()).body(Empty::<Bytes>::new());
    let question = question.expect("an address is a valid Host");
    let answer = sender.send_request(question).await.map_err(|error| failed(&error))?;
    if answer.status().is_success() {
        return Ok(());
    }
    let why = answer.into_body().collect().await.map_err(|error| failed(&error))?.to_bytes();
    Err(String::from_utf8_lossy(&why).lines().next().unwrap_or("not ready").to_owned())
}
