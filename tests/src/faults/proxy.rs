//! A TCP proxy that can be put between any caller and callee: the caller is given its address instead. It can be told to
//! harm what passes.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, watch},
    task::AbortHandle,
    time::{Instant, sleep_until},
};

use crate::platform::Platform;

/// How much is read at once.
const PIECE_BYTES: usize = 16 * 1024;

/// How many pieces are on their way at most; what is beyond waits with its sender.
const PIECES_MAX: usize = 1_024;

/// What becomes of what is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passing {
    /// It passes.
    All,
    /// It passes; answers arrive so much later.
    AnswersLate(Duration),
    /// Questions pass, and answers are lost. When this ends, so does each connection that lost something.
    NoAnswers,
    /// Nothing passes and nothing breaks, as when a cable is cut: whatever is said waits until it is mended.
    Nothing,
}

/// A proxy. Dropping it closes its door; connections that there are go on.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    passing: watch::Sender<Passing>,
    door: AbortHandle,
}

impl Proxy {
    /// In front of `target`, as `host:port`. Everything passes.
    pub async fn before(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("some port is free");
        let address = listener.local_addr().expect("it is bound");
        let (passing, told) = watch::channel(Passing::All);
        let door = tokio::spawn(async move {
            while let Ok((caller, _)) = listener.accept().await {
                tokio::spawn(connect(caller, target.clone(), told.clone()));
            }
        });
        Self { address, passing, door: door.abort_handle() }
    }

    /// Between a service and what this variable of it names, an URL or `host:port`. It takes effect when the service is
    /// started again. (Not for Kafka: brokers tell their own addresses.)
    pub async fn between(platform: &mut Platform, caller: &str, variable: &str) -> Self {
        let told = platform.setting(caller, variable).expect("the service is told whom to call").to_owned();
        let target = host_and_port(&told).to_owned();
        let proxy = Self::before(target.clone()).await;
        platform.set(caller, variable, Some(told.replacen(&target, &proxy.address.to_string(), 1)));
        proxy
    }

    /// From now on.
    pub fn pass(&self, passing: Passing) {
        self.passing.send_replace(passing);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.door.abort();
    }
}

/// `host:port` of an URL, or of what is that already.
fn host_and_port(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split_once('/').map_or(rest, |(server, _)| server);
    rest.rsplit_once('@').map_or(rest, |(_, server)| server)
}

async fn connect(caller: TcpStream, target: String, passing: watch::Receiver<Passing>) {
    // a callee that is away is one that hangs up
    let Ok(target) = TcpStream::connect(target).await else { return };
    for side in [&caller, &target] {
        // small messages must not wait for each other here when they do not elsewhere
        let _ = side.set_nodelay(true);
    }
    let (from_caller, to_caller) = caller.into_split();
    let (from_target, to_target) = target.into_split();
    // when one way ends, whatever the reason, the other is closed as well
    tokio::select! {
        _ = pass_on(from_caller, to_target, passing.clone(), Way::Question) => {}
        _ = pass_on(from_target, to_caller, passing, Way::Answer) => {}
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Question,
    Answer,
}

/// Passes on in one direction until either side closes.
async fn pass_on(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut passing: watch::Receiver<Passing>,
    way: Way,
) -> io::Result<()> {
    let mut told = passing.clone();
    let (pieces, mut on_their_way) = mpsc::channel::<(Instant, Vec<u8>)>(PIECES_MAX);
    let reading = async {
        let mut has_lost_something = false;
        loop {
            let mut piece = vec![0; PIECE_BYTES];
            let length = tokio::select! {
                length = from.read(&mut piece) => length?,
                Ok(()) = passing.changed(), if has_lost_something => return Ok(()),
            };
            if length == 0 {
                return Ok(());
            }
            piece.truncate(length);
            // a stream must not go on after a hole
            let is_told = *passing.borrow_and_update();
            match is_told {
                Passing::NoAnswers if way == Way::Answer => has_lost_something = true,
                _ if has_lost_something => return Ok(()),
                Passing::AnswersLate(by) if way == Way::Answer => {
                    if pieces.send((Instant::now() + by, piece)).await.is_err() {
                        return Ok(());
                    }
                }
                _ => {
                    if pieces.send((Instant::now(), piece)).await.is_err() {
                        return Ok(());
                    }
                }
            }
        }
    };
    let writing = async {
        while let Some((due, piece)) = on_their_way.recv().await {
            sleep_until(due).await;
            // the proxy may be gone: what is on its way arrives all the same
            let _ = told.wait_for(|passing| *passing != Passing::Nothing).await;
            to.write_all(&piece).await?;
        }
        Ok(())
    };
    tokio::select! {
        outcome = reading => outcome,
        outcome = writing => outcome,
    }
}

#[cfg(test)]
mod tests {
    use testkit::{SOON, eventually};
    use tokio::time::timeout;

    use super::*;

    /// Answers each byte with the same.
    async fn echo() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            while let Ok((mut caller, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut questions, mut answers) = caller.split();
                    tokio::io::copy(&mut questions, &mut answers).await
                });
            }
        });
        address
    }

    async fn ask(connection: &mut TcpStream) -> io::Result<u8> {
        connection.write_u8(7).await?;
        connection.read_u8().await
    }

    #[tokio::test]
    async fn what_is_said_while_nothing_passes_arrives_when_it_is_mended() {
        let proxy = Proxy::before(echo().await).await;
        let mut connection = TcpStream::connect(proxy.address).await.unwrap();
        assert_eq!(ask(&mut connection).await.unwrap(), 7);
        proxy.pass(Passing::Nothing);
        assert!(timeout(Duration::from_millis(100), ask(&mut connection)).await.is_err(), "it passed");
        proxy.pass(Passing::All);
        assert_eq!(timeout(SOON, connection.read_u8()).await.unwrap().unwrap(), 7);
    }

    #[tokio::test]
    async fn answers_are_as_late_as_they_are_told_to_be() {
        let proxy = Proxy::before(echo().await).await;
        let mut connection = TcpStream::connect(proxy.address).await.unwrap();
        let late = Duration::from_millis(200);
        proxy.pass(Passing::AnswersLate(late));
        let asked = Instant::now();
        assert_eq!(ask(&mut connection).await.unwrap(), 7);
        assert!(asked.elapsed() >= late);
    }

    #[tokio::test]
    async fn a_connection_that_lost_an_answer_never_goes_on_and_a_new_one_does() {
        let proxy = Proxy::before(echo().await).await;
        let mut connection = TcpStream::connect(proxy.address).await.unwrap();
        proxy.pass(Passing::NoAnswers);
        assert!(timeout(Duration::from_millis(100), ask(&mut connection)).await.is_err(), "it was answered");
        proxy.pass(Passing::All);
        eventually(SOON, "the connection is closed", async || ask(&mut connection).await.is_err()).await;
        assert_eq!(ask(&mut TcpStream::connect(proxy.address).await.unwrap()).await.unwrap(), 7);
    }

    #[test]
    fn the_callee_is_found_in_whatever_names_it() {
        for name in ["127.0.0.1:5432", "http://127.0.0.1:5432", "postgres://user:p@127.0.0.1:5432/orders"] {
            assert_eq!(host_and_port(name), "127.0.0.1:5432");
        }
    }
}
