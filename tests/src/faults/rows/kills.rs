//! A service dies, stands still, or is replaced.

use std::time::Duration;

use futures::future::LocalBoxFuture;
use tokio::time::{Instant, sleep};

use crate::faults::{
    FaultRow,
    scene::{Outcome, Scene},
};

/// Each service is killed, and started again at once, as whoever looks after it does.
#[derive(Debug)]
pub struct KillEachService;

impl FaultRow for KillEachService {
    fn name(&self) -> &'static str {
        "kill -9 of each service"
    }

    fn play<'a>(&'a self, scene: &'a mut Scene<'_>) -> LocalBoxFuture<'a, ()> {
        Box::pin(async {
            for service in scene.world.platform.names() {
                scene
                    .strike(format!("kill -9 of {service}"), async |world| {
                        world.platform.kill(&service).await;
                        world.platform.start_soon(&service);
                        Outcome::nothing_else()
                    })
                    .await;
            }
        })
    }
}

/// Each service is asked to end and started again, as a new version of it would be.
#[derive(Debug)]
pub struct RollingRestart;

impl FaultRow for RollingRestart {
    fn name(&self) -> &'static str {
        "SIGTERM and start of each service"
    }

    fn play<'a>(&'a self, scene: &'a mut Scene<'_>) -> LocalBoxFuture<'a, ()> {
        Box::pin(async {
            for service in scene.world.platform.names() {
                scene
                    .strike(format!("SIGTERM of {service}"), async |world| {
                        let asked = Instant::now();
                        let status = world.platform.stop(&service).await;
                        let figure = format!("{status} after {:.1} s", asked.elapsed().as_secs_f64());
                        world.platform.start_soon(&service);
                        Outcome::of(status.success(), figure)
                    })
                    .await;
            }
        })
    }
}

/// Each service stands still for a while: it answers nobody, and does not know it.
#[derive(Debug)]
pub struct PauseEachService;

impl FaultRow for PauseEachService {
    fn name(&self) -> &'static str {
        "SIGSTOP of each service"
    }

    fn play<'a>(&'a self, scene: &'a mut Scene<'_>) -> LocalBoxFuture<'a, ()> {
        Box::pin(async {
            let time = Duration::from_secs(scene.length.choose(1, 8));
            for service in scene.world.platform.names() {
                scene
                    .strike(format!("SIGSTOP of {service} for {} s", time.as_secs()), async |world| {
                        world.platform.pause(&service);
                        sleep(time).await;
                        world.platform.resume(&service);
                        Outcome::nothing_else()
                    })
                    .await;
            }
        })
    }
}
