// A service worker that keeps everything read from other hosts out of the browser's cache on disk: what is read there is
// studies and tokens, and not every DICOM service forbids to keep its answers.
self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', event => event.waitUntil(self.clients.claim()));
self.addEventListener('fetch', event => {
  const { origin } = new URL(event.request.url);
  if (origin !== self.location.origin && event.request.mode !== 'navigate') {
    event.respondWith(fetch(event.request, { cache: 'no-store' }));
  }
});
