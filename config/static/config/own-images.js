// Redoc asks its maker's host for a logo. A page of a library asks no other host for anything.
"use strict";

{
  const images = HTMLImageElement.prototype;
  const source = Object.getOwnPropertyDescriptor(images, "src");
  const setAttribute = images.setAttribute;

  const isForeign = (address) => {
    const url = new URL(address, document.baseURI);
    return /^https?:$/.test(url.protocol) && url.origin !== location.origin;
  };

  images.setAttribute = function (name, value) {
    if (name !== "src" || !isForeign(value)) setAttribute.call(this, name, value);
  };
  Object.defineProperty(images, "src", {
    ...source,
    set(value) {
      if (!isForeign(value)) source.set.call(this, value);
    },
  });
}
