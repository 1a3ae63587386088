//! Django on Debian's own Python: `collectstatic` in the build, what it may know of the config vars, and the interpreter of `/usr`.

use super::support::locks::split_requirement;
use super::support::trace::tools;
use super::{World, app, example, push_traced, read};
use std::path::Path;
use std::process::Command;

const MANAGE: &str = "import os, sys\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\n\
                      from django.core.management import execute_from_command_line\nexecute_from_command_line(sys.argv)\n";
const SETTINGS: &str = "
from pathlib import Path
BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = 'of a test'
ALLOWED_HOSTS = ['*']
ROOT_URLCONF = 'shop.urls'
INSTALLED_APPS = ['django.contrib.staticfiles']
STATIC_URL = 'static/'
STATIC_ROOT = BASE_DIR / 'staticfiles'
STATICFILES_DIRS = [BASE_DIR / 'assets']
";
const URLS: &str = "
import importlib.util, platform, sys
from django.conf import settings
from django.http import JsonResponse
from django.urls import path

def index(request):
    mark = settings.STATIC_ROOT / 'mark.txt'
    return JsonResponse({
        'mark': mark.read_text() if mark.exists() else None,
        'python': platform.python_version(), 'base': sys.base_prefix,
        'pip': importlib.util.find_spec('pip') is not None,
    })

urlpatterns = [path('', index)]
";
const WSGI: &str = "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\n\
                    from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n";

fn requirements() -> String {
    let django = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/builds/requirements.txt");
    let gunicorn = split_requirement(&read(&example("flask").join("requirements.txt")), "gunicorn").1;
    read(&django) + &gunicorn
}

fn system_version() -> String {
    let code = "import platform; print(platform.python_version())";
    let output = Command::new("/usr/bin/python3").args(["-c", code]).output().expect("Debian's python3 runs");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

#[test]
fn static_files_are_collected_by_debians_python() {
    let Some(world) = World::make() else { return };
    let server = world.server("DOZEN_PYTHON_PREFIX", Path::new("/usr"));
    let repository = app(
        &server,
        "shop",
        &[
            ("requirements.txt", &requirements()),
            ("manage.py", MANAGE),
            ("shop/__init__.py", ""),
            ("shop/settings.py", SETTINGS),
            ("shop/urls.py", URLS),
            ("shop/wsgi.py", WSGI),
            ("assets/mark.txt", "one"),
        ],
    );
    let answer = || server.get("shop", "/").json();
    let (told, seen) = push_traced(&server, &repository);
    assert!(told.contains("Collecting static files"), "{told}");
    assert!(tools(&seen).iter().any(|line| line.contains("pip")), "the trace sees what is there: {seen:#?}");
    let system = system_version();
    // pip is one of Debian's own packages, none of the app's.
    let expected =
        serde_json::json!({ "mark": "one", "python": system, "base": "/opt/python", "pip": false });
    assert_eq!(answer(), expected);

    repository.write("assets/mark.txt", "two");
    repository.commit("another file");
    let (told, seen) = push_traced(&server, &repository);
    assert!(told.contains("nothing they are made from has changed"), "{told}");
    assert!(
        !tools(&seen).iter().any(|line| line.contains("pip")),
        "a package manager was started: {seen:#?}"
    );
    assert_eq!(answer()["mark"], "two");

    let needing = SETTINGS.replace("'of a test'", "__import__('os').environ['SECRET_KEY']");
    repository.write("shop/settings.py", &needing);
    repository.commit("a secret from the environment");
    server.dozen(&["config:set", "SECRET_KEY=of-the-app", "-a", "shop"]);
    let output = repository.try_push(&server);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    println!("{told}");
    assert!(!output.status.success() && told.contains("DOZEN_BUILD_CONFIG"), "{told}");
    assert_eq!(answer()["mark"], "two", "the release before serves");

    server.dozen(&["config:set", "DOZEN_BUILD_CONFIG=SECRET_KEY", "-a", "shop"]);
    repository.write("assets/mark.txt", "three");
    repository.commit("again");
    println!("{}", repository.push(&server));
    assert_eq!(answer()["mark"], "three");

    server.dozen(&["config:set", "DISABLE_COLLECTSTATIC=1", "-a", "shop"]);
    repository.write("assets/mark.txt", "four");
    repository.commit("not collected");
    let told = repository.push(&server);
    assert!(!told.contains("Collecting static files"), "{told}");
    assert_eq!(answer()["mark"], serde_json::Value::Null);
}
