import os
import unittest
from unittest import mock

import services
from app import make_app


class AppTest(unittest.TestCase):
    def setUp(self):
        self.client = make_app().test_client()

    def test_an_answer_tells_its_release(self):
        with mock.patch.dict(os.environ, {"HEROKU_RELEASE_VERSION": "v7"}):
            answer = self.client.get("/").get_json()
        self.assertEqual((answer["release"], answer["greeting"]), ("v7", "Hello"))

    def test_every_byte_of_an_upload_is_counted(self):
        answer = self.client.post("/upload", data=b"x" * 300_000).get_json()
        self.assertEqual(answer["bytes"], 300_000)

    def test_a_service_on_loopback_is_refused_with_a_hint(self):
        for url in ("redis://localhost:6379", "redis://127.0.0.1/0", "redis://[::1]:6379", "redis://0.0.0.0", "redis://db.localhost"):
            with mock.patch.dict(os.environ, {"REDIS_URL": url}):
                with self.assertRaisesRegex(services.Unusable, "REDIS_URL .* Fix: "):
                    services.check()

    def test_a_service_on_another_machine_is_none_of_the_loopback(self):
        for host in ("localhost.example.com", "127.example.com", "10.0.0.5", "[2001:db8::1]"):
            with mock.patch.dict(os.environ, {"DATABASE_URL": f"postgresql://shop:secret@{host}/shop"}):
                services.check()

    def test_services_are_optional(self):
        self.assertEqual(self.client.get("/services").get_json(), {})

    def test_a_service_that_does_not_answer_is_told(self):
        with mock.patch.dict(os.environ, {"REDIS_URL": "redis://192.0.2.1:1/0"}):
            with mock.patch("services.PATIENCE", 0.05):
                self.assertIn("does not answer", self.client.get("/services").get_json()["redis"])


if __name__ == "__main__":
    unittest.main()
