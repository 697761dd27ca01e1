//! stub
use super::error::ProgramError;
use super::watch::Watch;
pub(super) struct Metrics;
impl Metrics {
    pub(super) fn publish(&self, _w: &Watch) {}
}
pub(super) fn listen(
    _r: &tokio::runtime::Runtime,
    _a: Option<std::net::SocketAddr>,
    _p: bool,
) -> Result<Metrics, ProgramError> {
    Ok(Metrics)
}
