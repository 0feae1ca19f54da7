CREATE TABLE public.videos (
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    campaign_id UUID,
    title TEXT,
    meta_platform_id TEXT,
    status TEXT,
    created_at TIMESTAMP WITHOUT TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT videos_pkey PRIMARY KEY (id)
);
CREATE INDEX videos_meta_platform_id_idx ON public.videos (meta_platform_id);
COMMENT ON TABLE public.videos IS 'One row is one video of the product.';
COMMENT ON COLUMN public.videos.meta_platform_id IS 'The Meta ad that runs this video.';
