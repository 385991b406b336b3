//! A throwaway PostgreSQL: a cluster in a temporary folder, on a socket there and nowhere else.

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};

/// A cluster of databases that ends with the test process, however that ends.
///
/// It is made with the machine's own binaries: those beside an `initdb` in `PATH`, or the newest below
/// `/usr/lib/postgresql`. They refuse to run as root; for root the cluster belongs to the user `postgres` or `nobody`.
///
/// ```
/// use letterhead_testkit::Postgres;
///
/// let Some(postgres) = Postgres::shared() else { return }; // there is none on this machine, which was said loudly
/// let database = postgres.database();
/// assert_eq!(postgres.sql(&database, "SELECT 1 + 1"), "2");
/// ```
#[derive(Debug)]
pub struct Postgres {
    binaries: PathBuf,
    folder: PathBuf,
    /// Whom it belongs to, where that is not ourselves.
    user: Option<(u32, u32)>,
    made: AtomicUsize,
    /// Which of the folder's sockets, and which port where it listens to one.
    port: AtomicU16,
    /// Stops the cluster and empties the folder when its standard input is closed, be it by our death.
    watch: Child,
}

/// How a cluster offers TLS.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The port at 127.0.0.1.
    pub port: u16,
    /// Who has issued its certificate, in PEM.
    pub authority: PathBuf,
    /// Somebody else.
    pub other_authority: PathBuf,
}

/// Two authorities, and a certificate for `localhost` by the first.
const CERTIFICATES: &str = r#"set -e
for name in ca other; do
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=$name" \
    -addext basicConstraints=critical,CA:TRUE -keyout $name.key -out $name.pem
done
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -keyout server.key -out server.csr
printf 'subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n' > server.ext
openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile server.ext -out server.pem
chmod 600 server.key
chmod 644 ca.pem other.pem
"#;

/// How a cluster is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Connections are ended, and what was committed is written.
    Fast,
    /// As a crash would: what was committed is found again at the next start.
    Crash,
}

/// What a cluster for tests need not do: survive a failure of the machine, or tidy up behind itself.
const SETTINGS: &str = "fsync = off\nfull_page_writes = off\nautovacuum = off\nshared_buffers = 32MB\n\
                        max_connections = 300\nlisten_addresses = ''\nlogging_collector = off\n";

impl Postgres {
    /// The cluster that all tests of this process share. None where the machine has no PostgreSQL: that is said on the
    /// standard error, past the test harness, and where `CI` is `true` it is a failure.
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Postgres>> = OnceLock::new();
        SHARED.get_or_init(Self::start).as_ref()
    }

    /// A cluster of one's own, to be stopped and started. None as with [`shared`](Self::shared).
    pub fn start() -> Option<Self> {
        let Some(binaries) = binaries() else {
            assert!(
                std::env::var("CI").as_deref() != Ok("true"),
                "there is no `initdb`: install PostgreSQL 14 or newer"
            );
            let said =
                "\n*** SKIPPED: there is no `initdb` on this machine, so nothing is tested with PostgreSQL ***\n";
            let _ = std::io::stderr().write_all(said.as_bytes());
            return None;
        };
        Some(Self::start_with(binaries, &std::env::temp_dir(), SETTINGS))
    }

    /// A cluster whose commits wait for the disk, as anybody's would: for measurements. Its folder is made in `parent`,
    /// whose name may not be long (the socket's is limited), and which the user has to be able to enter; everything but
    /// the socket is set as PostgreSQL sets it. Without a word, none where the machine has no PostgreSQL.
    pub fn start_durable(parent: &Path) -> Option<Self> {
        Some(Self::start_with(binaries()?, parent, "listen_addresses = ''\nlogging_collector = off\n"))
    }

    fn start_with(binaries: PathBuf, parent: &Path, settings: &str) -> Self {
        let folder = fresh_folder(parent);
        let owner = fs::metadata(&folder).expect("the folder is there").uid();
        let user = (owner == 0).then(|| someone_else().expect("there is a user `postgres` or `nobody`"));
        let private = fs::Permissions::from_mode(0o700);
        fs::set_permissions(&folder, private).expect("the folder is ours");
        if let Some((uid, gid)) = user {
            chown(&folder, Some(uid), Some(gid)).expect("root gives the folder away");
        }
        let watch = Self::command_as(user, "sh")
            .args(["-c", "cat; \"$0\" -D \"$1/data\" -m immediate stop; rm -rf \"$1\""])
            .args([binaries.join("pg_ctl"), folder.clone()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // What ends the tests at a terminal is not to end it before it has cleaned up.
            .process_group(0)
            .spawn()
            .expect("there is a shell");
        let cluster = Self { binaries, folder, user, made: AtomicUsize::new(0), port: 5432.into(), watch };
        let data = cluster.folder.join("data");
        let data = data.as_os_str();
        let args = ["-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync", "-D"];
        cluster.run("initdb", args.iter().map(OsStr::new).chain([data]));
        cluster.set(&format!("{settings}unix_socket_directories = '{}'", cluster.folder.display()));
        cluster.start_again();
        cluster
    }

    /// Has it listen at `localhost` too, and offer TLS there with a certificate for that name alone. None where the
    /// machine has no `openssl` to make certificates with, which is said as in [`shared`](Self::shared).
    pub fn offer_tls(&self) -> Option<Tls> {
        let make = self.folder.join("certificates.sh");
        fs::write(&make, CERTIFICATES).expect("the folder is ours");
        let made = Self::command_as(self.user, "sh").arg(&make).current_dir(&self.folder).output();
        let made = made.expect("there is a shell");
        if !made.status.success() {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{}", String::from_utf8_lossy(&made.stderr));
            let _ =
                std::io::stderr().write_all(b"\n*** SKIPPED: `openssl` made no certificates, TLS is not tested ***\n");
            return None;
        }
        let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let port = free.expect("there is a free port").port();
        self.stop(Stop::Fast);
        self.port.store(port, Ordering::Relaxed);
        self.set(&format!(
            "listen_addresses = '127.0.0.1'\nport = {port}\nssl = on\nssl_cert_file = '../server.pem'\nssl_key_file = '../server.key'"
        ));
        self.start_again();
        Some(Tls { port, authority: self.folder.join("ca.pem"), other_authority: self.folder.join("other.pem") })
    }

    /// Adds settings for the next start.
    fn set(&self, settings: &str) {
        let file = self.folder.join("data/postgresql.conf");
        let mut file = fs::OpenOptions::new().append(true).open(file).expect("initdb has made it");
        writeln!(file, "{settings}").expect("it can be written");
    }

    /// A new database: its name.
    pub fn database(&self) -> String {
        let name = format!("test_{}_{}", std::process::id(), self.made.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        name
    }

    /// Where a database is, for a superuser.
    pub fn url(&self, database: &str) -> String {
        self.url_of("postgres", database)
    }

    /// Where a database is, for a user that there is.
    pub fn url_of(&self, user: &str, database: &str) -> String {
        format!("postgres:///{database}?host={}&port={}&user={user}", self.folder.display(), self.port())
    }

    fn port(&self) -> u16 {
        self.port.load(Ordering::Relaxed)
    }

    /// Runs statements as a superuser, outside of any transaction. Gives the rows, columns apart by `|`.
    pub fn sql(&self, database: &str, statements: &str) -> String {
        self.try_sql(database, statements).unwrap_or_else(|error| panic!("{statements}: {error}"))
    }

    /// The same, where it may fail: then with what the database said.
    ///
    /// # Errors
    /// What the database said.
    pub fn try_sql(&self, database: &str, statements: &str) -> Result<String, String> {
        let psql = Command::new(self.binaries.join("psql"))
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database])
            .args(["-p", &self.port().to_string(), "-h"])
            .arg(&self.folder)
            .args(["-c", statements])
            .output()
            .expect("psql is beside initdb");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if psql.status.success() { Ok(text(&psql.stdout)) } else { Err(text(&psql.stderr)) }
    }

    /// Stops the cluster; connections are ended.
    pub fn stop(&self, how: Stop) {
        let mode = if how == Stop::Fast { "fast" } else { "immediate" };
        let data = self.folder.join("data");
        self.run("pg_ctl", ["-w", "-m", mode, "stop", "-D"].iter().map(OsStr::new).chain([data.as_os_str()]));
    }

    /// Starts a cluster that was stopped, and waits until it takes connections.
    pub fn start_again(&self) {
        let (data, log) = (self.folder.join("data"), self.folder.join("log"));
        let args = ["-w".as_ref(), "-D".as_ref(), data.as_os_str(), "-l".as_ref(), log.as_os_str(), "start".as_ref()];
        self.run("pg_ctl", args.into_iter());
    }

    /// What the server has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn run<'a>(&self, program: &str, arguments: impl Iterator<Item = &'a OsStr>) {
        // To files: the server inherits them, and would keep a pipe open.
        let told = self.folder.join(format!("{program}.out"));
        let out = fs::File::create(&told).expect("the folder is there");
        let mut command = Self::command_as(self.user, self.binaries.join(program));
        let errors = out.try_clone().expect("a second handle");
        command.args(arguments).current_dir(&self.folder).stdin(Stdio::null()).stdout(out).stderr(errors);
        let status = command.status().expect("it is beside initdb");
        let told = fs::read_to_string(told).unwrap_or_default();
        assert!(status.success(), "{program} has failed: {told}\n{}", self.log());
    }

    fn command_as(user: Option<(u32, u32)>, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        if let Some((uid, gid)) = user {
            command.uid(uid).gid(gid);
        }
        command.current_dir("/");
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.watch.stdin.take());
        // Whom the cluster belongs to may not be allowed to remove the folder itself. Where there is none any more, or the
        // watch is gone, there is nothing to be done.
        drop(self.watch.wait());
        drop(fs::remove_dir(&self.folder));
    }
}

/// The folder with `initdb` and its companions.
fn binaries() -> Option<PathBuf> {
    let in_path = std::env::var_os("PATH").unwrap_or_default();
    let named = std::env::split_paths(&in_path).map(|folder| folder.join("initdb")).find(|file| file.is_file());
    // The file in `PATH` may be a link; its companions are where it leads.
    let named = named.and_then(|file| Some(fs::canonicalize(file).ok()?.parent()?.to_owned()));
    named.filter(|folder| folder.join("pg_ctl").is_file()).or_else(|| {
        let versions = fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
        let version = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
        let newest = versions.map(|entry| entry.path()).max_by_key(|path| version(path))?.join("bin");
        newest.join("initdb").is_file().then_some(newest)
    })
}

/// A folder with a short name, because the name of a socket may not be long.
fn fresh_folder(parent: &Path) -> PathBuf {
    for n in 0..1000_u32 {
        let folder = parent.join(format!("lhpg-{}-{n}", std::process::id()));
        if fs::create_dir(&folder).is_ok() {
            return folder;
        }
    }
    panic!("no folder can be made in {}", parent.display());
}

/// User and group of somebody who is not root.
fn someone_else() -> Option<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    ["postgres", "nobody"].iter().find_map(|wanted| {
        let line = users.lines().find(|line| line.split(':').next() == Some(wanted))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    })
}
