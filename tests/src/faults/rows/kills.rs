//! kill -9.

use futures::future::LocalBoxFuture;

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
