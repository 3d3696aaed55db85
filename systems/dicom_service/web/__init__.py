"""HTTP: routing, requests, answers, Accept and multipart bodies."""
