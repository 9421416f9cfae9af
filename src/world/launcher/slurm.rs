//! A unit in a SLURM job, which holds all units of its node.

use super::launchers::{LaunchError, LaunchJob, Launched};
use crate::knowledge::slurm;
use crate::world::fleet::{Again, Station, StationError};

/// Asks for the start; the job may wait for hours before it happens.
pub(super) async fn launch(
    station: &Station,
    name: &str,
    job: &LaunchJob,
) -> Result<Launched, LaunchError> {
    let log = station.log(&job.log).await?;
    let (generation, epoch) = (job.generation.to_string(), job.epoch.unwrap_or_default());
    let (epoch, path) = (epoch.to_string(), log.to_string_lossy());
    let start = [&generation, job.launch.as_str(), &epoch, &path];
    let told = station.start_in_job(name, &job.unit, &start).await;
    let (pid, submitted) = told.map_err(refused)?;
    Ok(Launched {
        pid,
        log,
        submitted,
    })
}

/// Whether asking again may help.
fn refused(error: StationError) -> LaunchError {
    let StationError::Refused {
        place,
        words,
        again,
    } = error
    else {
        return error.into();
    };
    match (again, slurm::submission(&words)) {
        (Again::Later, _) => LaunchError::Later { place, words },
        (_, Some(key)) => LaunchError::Never {
            place,
            words: format!("{words}; change {key}"),
        },
        (Again::Never, None) => LaunchError::Never { place, words },
        (Again::Maybe, None) => StationError::Refused {
            place,
            words,
            again,
        }
        .into(),
    }
}
